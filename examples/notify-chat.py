#!/usr/bin/env python3
"""Posts a notification of minuted to Slack, Teams, Matrix or Home Assistant.

A `[[notify]]` of kind "command" runs it with `network = true`. It reads `notify-chat.json` beside itself:

  {"kind": "slack",  "url": "https://hooks.slack.com/services/…"}
  {"kind": "teams",  "url": "https://….logic.azure.com/…"}
  {"kind": "matrix", "url": "https://matrix.example.com", "room": "!…:example.com", "token": "syt_…"}
  {"kind": "homeassistant", "url": "http://homeassistant.local:8123", "service": "notify/mobile_app_phone", "token": "…"}
"""

import html
import json
import os
import sys
import urllib.parse
import urllib.request

TITLES = {
    "recording.taken": "Recording taken",
    "notes.ready": "Notes ready",
    "notes.partial": "Notes incomplete",
    "recording.failed": "Recording failed",
    "recording.skipped": "Recording skipped",
    "service.down": "Service down",
    "service.up": "Service works again",
    "service.signed_out": "Sign in",
    "folder.held": "Folder held",
    "folder.released": "Folder goes on",
}


def words(event):
    """The title, the line and the link of an event."""
    data = event["data"]
    title = TITLES.get(event["type"], event["type"])
    about = data.get("title") or data.get("recording") or data.get("service") or data.get("folder")
    title = f"{title}: {about}" if about else title
    line = data.get("detail") or (f"folder {data['folder']}" if "folder" in data else "")
    return title, line, data.get("link")


def slack(event):
    """Slack's mrkdwn: three characters are escaped, and there are no headings."""
    def escape(text):
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    title, line, link = words(event)
    text = f"*{escape(title)}*" + (f"\n{escape(line)}" if line else "")
    return {"text": text + (f"\n<{link}|Open>" if link else "")}


def teams(event):
    """A bare Adaptive Card, as a Workflow of Teams takes it. Connectors of Office 365 are gone."""
    title, line, link = words(event)
    body = [{"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True}]
    body += [{"type": "TextBlock", "text": line, "wrap": True}] if line else []
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": link}]
    return card


def matrix(event):
    """A message of a room (client-server API, `m.room.message`)."""
    title, line, link = words(event)
    parts = [part for part in (title, line, link) if part]
    formatted = "<br>".join([f"<b>{html.escape(title)}</b>"] + [html.escape(part) for part in parts[1:]])
    return {
        "msgtype": "m.text",
        "body": "\n".join(parts),
        "format": "org.matrix.custom.html",
        "formatted_body": formatted,
    }


def homeassistant(event):
    """A call of a `notify` service (REST API)."""
    title, line, link = words(event)
    call = {"title": title, "message": line or title}
    if link:
        call["data"] = {"url": link, "clickAction": link}
    return call


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "notify-chat.json"), encoding="utf-8") as file:
        settings = json.load(file)
    event = json.load(sys.stdin)
    kind, url, method = settings["kind"], settings["url"], "POST"
    headers = {"Content-Type": "application/json"}
    if "token" in settings:
        headers["Authorization"] = "Bearer " + settings["token"]
    if kind == "matrix":
        # The same transaction id makes one message, however often it is sent.
        room = urllib.parse.quote(settings["room"], safe="")
        message = urllib.parse.quote(os.environ["MINUTED_MESSAGE"], safe="")
        url, method = f"{url}/_matrix/client/v3/rooms/{room}/send/m.room.message/{message}", "PUT"
    elif kind == "homeassistant":
        url = f"{url}/api/services/{settings['service']}"
    make = {"slack": slack, "teams": teams, "matrix": matrix, "homeassistant": homeassistant}[kind]
    body = json.dumps(make(event)).encode("utf-8")
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        print(kind, answer.status)


try:
    main()
except Exception as error:  # The exit code and one line are what minuted shows.
    # The address may be a secret: an error of urllib does not hold it.
    sys.exit(f"{type(error).__name__}: {error}")
