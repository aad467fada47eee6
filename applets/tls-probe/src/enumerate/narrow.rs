//! Finding out which numbers of a list a server takes, and in whose order, when it says one at a time.

/// In whose order a server picks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// There is nothing to choose.
    #[default]
    Single,
    Server,
    Client,
    /// Neither: the server's own order depends on the client's.
    Mixed,
}

/// One list of a hello.
pub(crate) struct Dimension {
    all: Vec<u16>,
    /// As they were picked.
    picked: Vec<u16>,
    /// What was picked of the list the other way round.
    reversed: Option<u16>,
    is_closed: bool,
}

impl Dimension {
    /// A list, and what is picked of all of it when that is known.
    pub(crate) fn new(all: Vec<u16>, first: Option<u16>) -> Dimension {
        Dimension {
            picked: first.filter(|first| all.contains(first)).into_iter().collect(),
            all,
            reversed: None,
            is_closed: false,
        }
    }

    /// Whether there is something to ask about it.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_closed
    }

    /// What was picked of the whole list the other way round.
    pub(crate) fn turned(&mut self, pick: Option<u16>) {
        self.reversed = pick.filter(|number| !self.is_closed && self.all.contains(number));
    }

    /// Nothing more is asked of it.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(crate) fn has(&self, number: u16) -> bool {
        self.picked.contains(&number) || self.reversed == Some(number)
    }

    /// Takes a pick; false if it is known or was never offered.
    pub(crate) fn add(&mut self, number: u16) -> bool {
        let is_new = self.all.contains(&number) && !self.has(number);
        if is_new {
            self.picked.push(number);
        }
        is_new
    }

    /// What has not been picked yet.
    pub(crate) fn rest(&self) -> Option<Vec<u16>> {
        let rest: Vec<u16> = self.all.iter().copied().filter(|number| !self.has(*number)).collect();
        (!rest.is_empty()).then_some(rest)
    }

    fn place(&self, number: u16) -> usize {
        self.all.iter().position(|one| *one == number).unwrap_or(usize::MAX)
    }

    pub(crate) fn order(&self) -> Order {
        let (Some(first), Some(reversed)) = (self.picked.first(), self.reversed) else { return Order::Single };
        if self.found().len() < 2 {
            return Order::Single;
        }
        if *first == reversed {
            return Order::Server;
        }
        let is_sorted = self.picked.is_sorted_by_key(|number| self.place(*number));
        let is_last = self.picked.iter().all(|number| self.place(*number) <= self.place(reversed));
        if is_sorted && is_last { Order::Client } else { Order::Mixed }
    }

    /// Everything that is taken: in the server's order if it has one, else in the order of the offer.
    pub(crate) fn found(&self) -> Vec<u16> {
        let mut out = self.picked.clone();
        out.extend(self.reversed.filter(|reversed| !self.picked.contains(reversed)));
        out
    }

    /// What is offered of it.
    pub(crate) fn offer(&self, is_rest: bool) -> Vec<u16> {
        let rest = if is_rest && !self.is_closed { self.rest() } else { None };
        rest.unwrap_or_else(|| self.all.clone())
    }

    /// Takes what was picked of the rest; a server that picks nothing of it does not heed the list.
    pub(crate) fn take(&mut self, pick: Option<u16>) {
        if !self.is_closed && !pick.is_some_and(|pick| self.add(pick)) || self.rest().is_none() {
            self.is_closed = true;
        }
    }
}

/// Offers the lists, or `None` when the server refuses; told is whether they stand the other way round.
pub(crate) type Ask<'a> = dyn FnMut(&[Vec<u16>], bool) -> Option<Vec<Option<u16>>> + 'a;

/// Asks until every list is exhausted. One connection takes something from each of them at once; when the server refuses,
/// one more connection finds out which list was exhausted.
pub(crate) fn narrow(lists: &mut [Dimension], ask: &mut Ask<'_>) {
    let pick = |picks: &[Option<u16>], at: usize| picks.get(at).copied().flatten();
    if lists.iter().any(|list| list.picked.is_empty() && !list.is_closed) {
        let offers: Vec<Vec<u16>> = lists.iter().map(|list| list.offer(false)).collect();
        let Some(picks) = ask(&offers, false) else { return };
        for (at, list) in lists.iter_mut().enumerate() {
            if list.picked.is_empty() {
                list.take(pick(&picks, at));
            }
        }
    }
    let mut offers: Vec<Vec<u16>> = lists.iter().map(|list| list.offer(false)).collect();
    offers.iter_mut().for_each(|offer| offer.reverse());
    if let Some(picks) = ask(&offers, true) {
        for (at, list) in lists.iter_mut().enumerate() {
            list.turned(pick(&picks, at));
        }
    }
    finish(lists, ask);
}

/// The rest of [`narrow`], where in whose order the server picks has been asked.
pub(crate) fn finish(lists: &mut [Dimension], ask: &mut Ask<'_>) {
    let pick = |picks: &[Option<u16>], at: usize| picks.get(at).copied().flatten();
    while let Some(open) = lists.iter().position(|list| !list.is_closed) {
        let offers: Vec<Vec<u16>> = lists.iter().map(|list| list.offer(true)).collect();
        if let Some(picks) = ask(&offers, false) {
            lists.iter_mut().enumerate().for_each(|(at, list)| list.take(pick(&picks, at)));
            continue;
        }
        let is_alone = lists.iter().skip(open + 1).all(|list| list.is_closed);
        let offers: Vec<Vec<u16>> = lists.iter().enumerate().map(|(at, list)| list.offer(at == open)).collect();
        let picks = if is_alone { None } else { ask(&offers, false) };
        let Some(list) = lists.get_mut(open) else { return };
        match picks {
            None => list.close(),
            Some(picks) => {
                list.take(pick(&picks, open));
                // It was another list; with two there is only one.
                lists.iter_mut().skip(open + 1).for_each(Dimension::close);
            }
        }
    }
}

/// One list of which something is known to be taken. After the first pick the list stands the other way round: whoever
/// follows it then picks from its other end, and whoever picks otherwise has an order of its own, so only who seems to
/// follow the list is asked once more. (Who follows it in part is taken for a server with its own order.)
pub(crate) fn narrow_turned(list: &mut Dimension, ask: &mut Ask<'_>) {
    let mut picked = |offer: Vec<u16>| ask(&[offer], true).and_then(|picks| picks.first().copied().flatten());
    while !list.is_closed
        && let Some(mut rest) = list.rest()
    {
        rest.reverse();
        list.take(picked(rest));
    }
    let places: Vec<usize> = list.picked.iter().map(|number| list.place(*number)).collect();
    let Some((first, rest)) = places.split_first() else { return };
    let follows = rest.iter().all(|place| place > first) && rest.is_sorted_by(|one, next| one > next);
    let answer = if follows && !rest.is_empty() {
        let mut all = list.all.clone();
        all.reverse();
        picked(all)
    } else {
        list.picked.first().copied()
    };
    list.reversed = answer.filter(|number| list.all.contains(number));
    if list.reversed != list.picked.first().copied() {
        let all = list.all.clone();
        list.picked.sort_by_key(|number| all.iter().position(|one| one == number));
    }
}

/// Which of a set are taken, when only whole sets can be tried: a set that is refused costs one question.
pub(crate) fn bisect(set: &[u16], is_taken: &mut dyn FnMut(&[u16]) -> bool) -> Vec<u16> {
    let mut out = Vec::new();
    if !is_taken(set) {
        return out;
    }
    // Sets that are known to hold something, and those that are not yet.
    let mut waiting = vec![(set, true)];
    while let Some((set, is_known)) = waiting.pop() {
        if !is_known && !is_taken(set) {
            continue;
        }
        if let [one] = set {
            out.push(*one);
            continue;
        }
        if set.len() <= 3 {
            let before = out.len();
            for (at, one) in set.iter().enumerate() {
                // The last has to be it when no other is.
                let is_only_one = at + 1 == set.len() && out.len() == before;
                if is_only_one || is_taken(std::slice::from_ref(one)) {
                    out.push(*one);
                }
            }
            continue;
        }
        let (left, right) = set.split_at(set.len() / 2);
        waiting.push((right, false));
        waiting.push((left, false));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A server that takes these, in its own order or the client's.
    fn pick(offer: &[u16], taken: &[u16], is_server: bool) -> Option<u16> {
        let (first, second) = if is_server { (taken, offer) } else { (offer, taken) };
        first.iter().copied().find(|one| second.contains(one))
    }

    #[test]
    fn one_list() {
        for (taken, is_server, order, found, cost) in [
            (&[5u16, 2, 9][..], true, Order::Server, &[5u16, 2, 9][..], 5),
            (&[5, 2, 9], false, Order::Client, &[2, 5, 9], 4),
            (&[7], true, Order::Single, &[7], 3),
            (&[], true, Order::Single, &[], 1),
        ] {
            let count = Cell::new(0);
            let mut lists = [Dimension::new((0..20).collect(), None)];
            narrow(&mut lists, &mut |offers, _| {
                count.set(count.get() + 1);
                Some(vec![Some(pick(&offers[0], taken, is_server)?)])
            });
            let [list] = lists;
            assert_eq!((list.order(), list.found().as_slice(), count.get()), (order, found, cost), "{taken:?}");
        }
    }

    #[test]
    fn one_list_turned() {
        for (taken, is_server, order, found, cost) in [
            (&[5u16, 2, 9][..], true, Order::Server, &[5u16, 2, 9][..], 3),
            // As if the client were followed, up to the last question.
            (&[2, 9, 5], true, Order::Server, &[2, 9, 5], 4),
            (&[5, 2, 9], false, Order::Client, &[2, 5, 9], 4),
            (&[7], true, Order::Single, &[7], 1),
        ] {
            let count = Cell::new(0);
            let all: Vec<u16> = (0..20).collect();
            let mut list = Dimension::new(all.clone(), pick(&all, taken, is_server));
            narrow_turned(&mut list, &mut |offers, _| {
                count.set(count.get() + 1);
                Some(vec![Some(pick(&offers[0], taken, is_server)?)])
            });
            assert_eq!((list.order(), list.found().as_slice(), count.get()), (order, found, cost), "{taken:?}");
        }
    }

    #[test]
    fn two_lists_at_once() {
        for (one, two) in [(&[3u16, 1][..], &[4u16, 2, 8, 6][..]), (&[1, 2, 3, 4, 5], &[9]), (&[1], &[1]), (&[], &[1])]
        {
            let count = Cell::new(0);
            let mut lists = [Dimension::new((0..20).collect(), None), Dimension::new((0..20).collect(), None)];
            narrow(&mut lists, &mut |offers, _| {
                count.set(count.get() + 1);
                Some(vec![Some(pick(&offers[0], one, true)?), Some(pick(&offers[1], two, false)?)])
            });
            let [left, right] = lists;
            let mut sorted = two.to_vec();
            sorted.sort_unstable();
            let both = !one.is_empty();
            assert_eq!(left.found(), one);
            assert_eq!(right.found(), if both { sorted } else { Vec::new() });
            assert!(count.get() <= one.len().max(two.len()) + 5, "{}", count.get());
        }
    }

    #[test]
    fn a_server_that_does_not_heed_a_list() {
        let mut lists = [Dimension::new((0..9).collect(), None), Dimension::new((0..9).collect(), None)];
        narrow(&mut lists, &mut |offers, _| Some(vec![Some(pick(&offers[0], &[3, 4], true)?), Some(77)]));
        let [left, right] = lists;
        assert_eq!((left.found(), right.found()), (vec![3, 4], vec![]));
    }

    #[test]
    fn halves() {
        for (taken, cost) in
            [(&[][..], 1), (&[3][..], 9), (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11][..], 23), (&[11][..], 9)]
        {
            let count = Cell::new(0);
            let set: Vec<u16> = (0..12).collect();
            let found = bisect(&set, &mut |set| {
                count.set(count.get() + 1);
                set.iter().any(|one| taken.contains(one))
            });
            assert_eq!(found, taken);
            assert!(count.get() <= cost, "{taken:?} cost {}", count.get());
        }
    }
}
