// The page works without this. It keeps what is shown fresh, sends files with their progress, and plays from a line.
'use strict';

const REFRESH_AFTER = 1500;
const FOLLOW_AFTER = 10000;
let refreshing = false;
let wanted = false;

async function refresh() {
  if (refreshing) { wanted = true; return; }
  refreshing = true;
  wanted = false;
  try {
    const address = new URL(location.href);
    address.searchParams.delete('message');
    const answer = await fetch(address, { headers: { accept: 'text/html' } });
    if (answer.status === 401) { location.reload(); return; }
    if (document.body.dataset.lost !== undefined) delete document.body.dataset.lost;
    if (answer.ok) { replace(new DOMParser().parseFromString(await answer.text(), 'text/html')); }
  } catch { /* the stream tells when minuted is back */ }
  setTimeout(() => { refreshing = false; if (wanted) refresh(); }, REFRESH_AFTER);
}

// Parts that a person is working in stay as they are.
function replace(fresh) {
  for (const part of document.querySelectorAll('[data-live]')) {
    const other = fresh.getElementById(part.id);
    const busy = part.contains(document.activeElement) || part.querySelector('details[open], [data-busy]');
    const chosen = [...part.querySelectorAll('input[type=file]')].some(input => input.files.length);
    if (other && !busy && !chosen && other.innerHTML !== part.innerHTML) {
      part.innerHTML = other.innerHTML;
      part.querySelectorAll('form.drop').forEach(prepare);
    }
  }
}

function follow() {
  const events = new EventSource('/live');
  events.addEventListener('change', refresh);
  events.addEventListener('progress', event => {
    for (const pair of event.data.split(' ').filter(Boolean)) {
      const [id, percent] = pair.split(':');
      const bar = document.querySelector(`[data-job="${CSS.escape(id)}"] progress`);
      if (bar) bar.value = percent; else refresh();
    }
  });
  let lost = false;
  events.onerror = () => {
    lost = true;
    document.body.dataset.lost = '';
    // A browser tries again by itself, but not after an answer that is no stream: the session may have ended.
    if (events.readyState === EventSource.CLOSED) { refresh(); setTimeout(follow, FOLLOW_AFTER); }
  };
  events.onopen = () => { delete document.body.dataset.lost; if (lost) { lost = false; refresh(); } };
}

function prepare(form) {
  const input = form.querySelector('input[type=file]');
  const bar = form.querySelector('progress');
  const folder = form.closest('.folder');
  form.addEventListener('submit', event => { event.preventDefault(); send(input.files); });
  folder.addEventListener('dragover', event => { event.preventDefault(); folder.classList.add('over'); });
  folder.addEventListener('dragleave', () => folder.classList.remove('over'));
  folder.addEventListener('drop', event => {
    event.preventDefault();
    folder.classList.remove('over');
    send(event.dataTransfer.files);
  });

  function send(files) {
    if (!files.length || form.dataset.busy !== undefined) return;
    const body = new FormData();
    for (const file of files) { body.append('modified', file.lastModified); body.append('recording', file, file.name); }
    const request = new XMLHttpRequest();
    request.open('POST', form.action);
    request.setRequestHeader('accept', 'application/json');
    request.upload.onprogress = event => { bar.hidden = false; bar.value = 100 * event.loaded / event.total; };
    request.onload = () => {
      delete form.dataset.busy;
      if (request.status === 200) { location.href = JSON.parse(request.responseText).next; return; }
      document.open(); document.write(request.responseText); document.close();
    };
    request.onerror = () => { delete form.dataset.busy; bar.hidden = true; alert('The upload broke off.'); };
    form.dataset.busy = '';
    request.send(body);
  }
}

function play() {
  const player = document.getElementById('player');
  if (!player) return;
  const lines = [...document.querySelectorAll('.at')];
  for (const line of lines) {
    line.addEventListener('click', event => {
      event.preventDefault();
      player.currentTime = Number(line.dataset.at);
      player.play();
    });
  }
  player.addEventListener('timeupdate', () => {
    let now = null;
    for (const line of lines) { if (Number(line.dataset.at) <= player.currentTime) now = line; }
    for (const line of lines) line.parentElement.classList.toggle('now', line === now);
  });
}

document.querySelectorAll('form.drop').forEach(prepare);
play();
follow();
