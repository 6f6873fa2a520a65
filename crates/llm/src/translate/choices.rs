//! The answers of a stream that gives several: their parts come in turn, each with its answer's number.

use crate::neutral::Happening;

/// What is known of each answer that has begun, and which of them is being told.
pub(crate) struct Choices<T> {
    asked_for: u64,
    begun: Vec<(u64, T)>,
    told: u64,
}

impl<T: Default> Choices<T> {
    pub(crate) fn new(asked_for: u64) -> Self {
        Self {
            asked_for,
            begun: Vec::new(),
            told: 0,
        }
    }

    /// The answer with this number, of which is told from here on; `None`: nobody asked for it.
    pub(crate) fn turn_to(&mut self, number: u64, happened: &mut Vec<Happening>) -> Option<&mut T> {
        if number >= self.asked_for {
            return None;
        }
        tell(&mut self.told, number, happened);
        let known = self.begun.iter().position(|(it, _)| *it == number);
        let at = known.unwrap_or_else(|| {
            self.begun.push((number, T::default()));
            self.begun.len() - 1
        });
        Some(&mut self.begun[at].1)
    }

    /// Turns to each that has begun.
    pub(crate) fn each(
        &mut self,
        happened: &mut Vec<Happening>,
        mut then: impl FnMut(&mut T, &mut Vec<Happening>),
    ) {
        for (number, choice) in &mut self.begun {
            tell(&mut self.told, *number, happened);
            then(choice, happened);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.begun.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.begun.iter().map(|(_, choice)| choice)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.begun.iter_mut().map(|(_, choice)| choice)
    }
}

fn tell(told: &mut u64, number: u64, happened: &mut Vec<Happening>) {
    if std::mem::replace(told, number) != number {
        happened.push(Happening::Choice(number));
    }
}
