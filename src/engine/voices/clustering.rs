//! Clustering of voice prints: parts of one person get one number.
//!
//! Average linkage by cosine distance, over parts with one speaker and enough of him; small
//! clusters are nobody; in the end every part goes to the voice that it is most like.

use kodama::{Method, linkage};

use super::{
    embedding::{VALUES, dot, normalized},
    prints::VoicePart,
};
use crate::{config::Speakers, engine::RATE};

/// The cosine distance up to which two clusters are one person. Lower values split reverberant
/// rooms, higher ones merge alike voices on the telephone; at 0.66 two of six readers are one there.
const DISTANCE_MAX: f32 = 0.65;

/// Samples of a part that helps to make clusters, 1 s: the print of a shorter one says too little.
const TRAINING_MIN: u64 = RATE as u64;

/// Samples of a person at least: 4 s. Less is a cough, or two at once.
const PERSON_MIN: u64 = 4 * RATE as u64;

/// Parts that make clusters at most, the longest: their distances take 18 MB of memory.
const TRAINING_MAX: usize = 3_000;

/// Parts before and after one without a print that may lend it theirs.
const NEIGHBOURS: usize = 3;

/// Returns for each part the number of its voice, from 0, in no order.
pub(super) fn cluster_parts(parts: &[VoicePart], speakers: Speakers) -> Vec<usize> {
    let training = choose_training(parts);
    if training.is_empty() {
        return vec![0; parts.len()];
    }
    let vectors: Vec<[f32; VALUES]> =
        training.iter().filter_map(|part| Some(part.print?.unit_vector())).collect();
    let lengths: Vec<u64> = training.iter().map(|part| part.length()).collect();
    let clusters = link_vectors(&vectors, &lengths, speakers);
    let centroids: Vec<_> =
        clusters.iter().map(|cluster| centroid(cluster, &vectors, &lengths)).collect();
    let nearest = |part: &VoicePart| Some(nearest_centroid(&part.print?.unit_vector(), &centroids));
    let mut labels: Vec<Option<usize>> = parts.iter().map(nearest).collect();
    for at in 0..parts.len() {
        if labels[at].is_none() {
            labels[at] = neighbours_label(at, parts, &labels);
        }
    }
    labels.into_iter().map(Option::unwrap_or_default).collect()
}

/// Returns the parts that make clusters, in the order of time.
fn choose_training(parts: &[VoicePart]) -> Vec<&VoicePart> {
    let with_print = || parts.iter().filter(|part| part.print.is_some());
    let mut training: Vec<_> =
        with_print().filter(|part| part.speakers == 1 && part.length() >= TRAINING_MIN).collect();
    if training.is_empty() {
        training = with_print().collect();
    }
    training.sort_by_key(|part| (std::cmp::Reverse(part.length()), part.start));
    training.truncate(TRAINING_MAX);
    training.sort_by_key(|part| part.start);
    training
}

/// Returns the clusters that are people, each with its members.
fn link_vectors(vectors: &[[f32; VALUES]], lengths: &[u64], speakers: Speakers) -> Vec<Vec<usize>> {
    let mut distances = Vec::with_capacity(vectors.len() * vectors.len().saturating_sub(1) / 2);
    for (at, one) in vectors.iter().enumerate() {
        distances.extend(vectors[at + 1..].iter().map(|other| 1.0 - dot(one, other)));
    }
    let steps = linkage(&mut distances, vectors.len(), Method::Average);
    let steps = steps.steps();
    let people = |merges: usize| {
        let clusters = merge_clusters(
            vectors.len(),
            steps[..merges].iter().map(|step| (step.cluster1, step.cluster2)),
        );
        let is_person =
            |cluster: &Vec<usize>| cluster.iter().map(|at| lengths[*at]).sum::<u64>() >= PERSON_MIN;
        (
            clusters.iter().filter(|cluster| is_person(cluster)).cloned().collect::<Vec<_>>(),
            clusters,
        )
    };
    match speakers {
        Speakers::Exactly(count) => {
            // As few clusters as hold so many people; where none do, so many clusters.
            let most = vectors.len().saturating_sub(count.get().into());
            let enough = (0..=most)
                .rev()
                .map(|merges| people(merges).0)
                .find(|found| found.len() >= count.get().into());
            enough.unwrap_or_else(|| people(most).1)
        }
        Speakers::Auto | Speakers::Off => {
            let (people, clusters) =
                people(steps.partition_point(|step| step.dissimilarity <= DISTANCE_MAX));
            if people.is_empty() { longest_cluster(clusters, lengths) } else { people }
        }
    }
}

fn longest_cluster(clusters: Vec<Vec<usize>>, lengths: &[u64]) -> Vec<Vec<usize>> {
    let length = |cluster: &Vec<usize>| cluster.iter().map(|at| lengths[*at]).sum::<u64>();
    // Of equals the first.
    clusters.into_iter().rev().max_by_key(length).into_iter().collect()
}

/// Returns the clusters after some merges, in the order of their first members.
fn merge_clusters(count: usize, merges: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut clusters: Vec<Option<Vec<usize>>> = (0..count).map(|at| Some(vec![at])).collect();
    for (one, other) in merges {
        let mut merged = clusters[one].take().unwrap_or_default();
        merged.extend(clusters[other].take().unwrap_or_default());
        merged.sort_unstable();
        clusters.push(Some(merged));
    }
    let mut clusters: Vec<_> = clusters.into_iter().flatten().collect();
    clusters.sort_unstable();
    clusters
}

/// Returns the middle of a cluster, in which each part counts by its length.
#[expect(clippy::cast_precision_loss, reason = "a part has some ten thousand samples")]
fn centroid(cluster: &[usize], vectors: &[[f32; VALUES]], lengths: &[u64]) -> [f32; VALUES] {
    let mut sum = [0.0; VALUES];
    for at in cluster {
        let weight = lengths[*at] as f32 / RATE as f32;
        for (sum, value) in sum.iter_mut().zip(&vectors[*at]) {
            *sum += weight * value;
        }
    }
    normalized(sum)
}

fn nearest_centroid(vector: &[f32; VALUES], centroids: &[[f32; VALUES]]) -> usize {
    let likeness = centroids.iter().map(|centroid| dot(vector, centroid)).enumerate();
    likeness
        .max_by(|one, other| one.1.total_cmp(&other.1).then(other.0.cmp(&one.0)))
        .map_or(0, |(at, _)| at)
}

/// Returns the label of the nearest part in time that has one.
fn neighbours_label(at: usize, parts: &[VoicePart], labels: &[Option<usize>]) -> Option<usize> {
    let around = at.saturating_sub(NEIGHBOURS)..parts.len().min(at + NEIGHBOURS + 1);
    let distance = |other: usize| {
        let (before, after) = if other < at { (other, at) } else { (at, other) };
        parts[after].start.saturating_sub(parts[before].end)
    };
    around
        .filter(|other| labels[*other].is_some())
        .min_by_key(|other| distance(*other))
        .and_then(|other| labels[other])
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::voices::embedding::VoicePrint;

    /// A part of 2 s of a voice, a little different each time.
    fn part(at: usize, voice: usize, other: u8) -> VoicePart {
        let mut print = [0_i8; VALUES];
        print[voice] = 100;
        print[100 + usize::from(other) % 100] = 40;
        let start = at as u64 * 40_000;
        VoicePart { start, end: start + 32_000, speakers: 1, print: Some(VoicePrint(print)) }
    }

    fn parts_of(voices: &[(usize, u8)]) -> Vec<VoicePart> {
        voices.iter().enumerate().map(|(at, (voice, other))| part(at, *voice, *other)).collect()
    }

    /// Returns labels by the order in which they come.
    fn in_order(labels: &[usize]) -> Vec<usize> {
        let mut order = Vec::new();
        let number = |label: &usize| {
            order.iter().position(|known| known == label).unwrap_or_else(|| {
                order.push(*label);
                order.len() - 1
            })
        };
        labels.iter().map(number).collect()
    }

    #[test]
    fn voices_are_told_apart_and_a_cough_is_nobody() {
        let parts = parts_of(&[(0, 0), (1, 1), (0, 2), (1, 3), (2, 4), (0, 5), (1, 6)]);
        let labels = in_order(&cluster_parts(&parts, Speakers::Auto));
        assert_eq!((labels[0], labels[2], labels[5]), (0, 0, 0));
        assert_eq!((labels[1], labels[3], labels[6]), (1, 1, 1));
        assert!(labels.iter().all(|label| *label < 2), "2 s are no person: {labels:?}");
        assert_eq!(cluster_parts(&[], Speakers::Auto), Vec::<usize>::new());
    }

    #[test]
    fn a_number_that_is_known_is_kept() {
        let parts = parts_of(&[(0, 0), (1, 1), (0, 2), (1, 3), (2, 4), (2, 5)]);
        for count in 1..=5 {
            let labels =
                cluster_parts(&parts, Speakers::Exactly(NonZeroU8::new(count).expect("not 0")));
            let mut found = labels.clone();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), usize::from(count), "{labels:?}");
        }
    }

    #[test]
    fn a_part_without_a_print_goes_to_its_neighbour() {
        let mut parts = parts_of(&[(0, 0), (0, 1), (1, 2), (1, 3), (1, 4)]);
        parts[2].print = None;
        parts[2].start = parts[1].end + 10;
        let labels = cluster_parts(&parts, Speakers::Auto);
        assert_eq!(labels[2], labels[1]);
        for part in &mut parts {
            part.print = None;
        }
        assert_eq!(cluster_parts(&parts, Speakers::Auto), [0; 5]);
    }

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn the_order_of_parts_changes_no_partition(
            voices in proptest::collection::vec((0_usize..4, any::<u8>()), 1..40), seed in any::<u64>()
        ) {
            // Everybody says enough to be somebody.
            let mut voices = voices;
            voices.extend((0..8).map(|at| (at % 4, 90)));
            let parts = parts_of(&voices);
            let mut order: Vec<usize> = (0..parts.len()).collect();
            order.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            // The same voices at other times.
            let moved: Vec<VoicePart> = order.iter().enumerate().map(|(at, from)| part(at, voices[*from].0, voices[*from].1)).collect();
            let labels = cluster_parts(&parts, Speakers::Auto);
            let moved_labels = cluster_parts(&moved, Speakers::Auto);
            let by_part = |label: &dyn Fn(usize) -> usize| in_order(&(0..parts.len()).map(label).collect::<Vec<_>>());
            let place = |at: usize| order.iter().position(|from| *from == at).expect("a permutation");
            prop_assert_eq!(by_part(&|at| labels[at]), by_part(&|at| moved_labels[place(at)]));
        }
    }
}
