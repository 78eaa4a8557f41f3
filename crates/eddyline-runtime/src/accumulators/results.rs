//! What all instances have added up to.

use super::JobAccumulator;
use eddyline_core::data::from_bytes_of;
use eddyline_core::{Error, Result};
use eddyline_protocol::AccumulatorPart;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The accumulators of a job, as its instances said last.
#[derive(Debug, Clone, Default)]
pub struct AccumulatorResults {
    parts: Vec<Arc<AccumulatorPart>>,
}

impl AccumulatorResults {
    pub(crate) fn new(mut parts: Vec<Arc<AccumulatorPart>>) -> Self {
        parts.sort_by(|one, other| (&one.uid, one.instance).cmp(&(&other.uid, other.instance)));
        AccumulatorResults { parts }
    }

    /// The names of all accumulators, in order.
    pub fn names(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.parts.iter().map(|part| part.name.as_str()).collect();
        names.into_iter().collect()
    }

    /// Whether no operator has an accumulator, or none has said anything yet.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The accumulator `name`, merged from what all instances of all operators have added; none if no operator has
    /// one of that name.
    ///
    /// # Errors
    /// If an operator's accumulator of that name is of another type than `A`.
    pub fn get<A: JobAccumulator>(&self, name: &str) -> Result<Option<A>> {
        let mut all: Option<A> = None;
        for part in self.parts.iter().filter(|part| part.name == name) {
            let wanted = std::any::type_name::<A>();
            if part.type_name != wanted {
                return Err(Error::config(format!(
                    "the accumulator `{name}` is a `{}`, not a `{wanted}`",
                    part.type_name
                ))
                .with_detail(format!("operator `{}`", part.uid))
                .with_hint("ask for the type that it was declared with; types that differ need two names"));
            }
            let part: A = from_bytes_of(&part.bytes, &part.schema)?;
            match &mut all {
                Some(all) => all.merge(part),
                none => *none = Some(part),
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Count, List};
    use super::*;
    use eddyline_core::{Data, data::to_bytes};

    fn part<A: JobAccumulator>(uid: &str, instance: u32, accumulator: &A) -> Arc<AccumulatorPart> {
        Arc::new(AccumulatorPart {
            name: "seen".into(),
            type_name: std::any::type_name::<A>().into(),
            uid: uid.into(),
            instance,
            schema: <A as Data>::schema(),
            bytes: to_bytes(accumulator),
        })
    }

    #[test]
    fn parts_are_merged_in_order_and_types_are_checked() {
        let list = |text: &str| {
            let mut list = List::default();
            list.add(text.to_owned());
            list
        };
        let parts = vec![part("b", 0, &list("b0")), part("a", 1, &list("a1")), part("a", 0, &list("a0"))];
        let results = AccumulatorResults::new(parts);
        assert_eq!(results.names(), ["seen"]);
        let merged = results.get::<List<String>>("seen").unwrap().unwrap();
        assert_eq!(merged.items(), ["a0", "a1", "b0"]);
        assert!(results.get::<List<String>>("other").unwrap().is_none());
        let error = results.get::<Count>("seen").unwrap_err();
        assert!(error.message().contains("not a `") && error.message().contains("Count"), "{error}");
    }
}
