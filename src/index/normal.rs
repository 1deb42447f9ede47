//! The normal form of criteria: conjunctions of what an index can look up.
//!
//! A filter selects where its condition is TRUE. NOT is pushed down to the single tests, which
//! SQL's three-valued logic allows: a conjunction is FALSE where one part is FALSE, a disjunction
//! where all are. A test that cannot be turned into its opposite stays as a whole, under its NOT.

use super::key::{Constant, ConstantRef, Domain, OrderKey, OwnedConstant};
use crate::filter::{Collation, CompareOp, Condition, Path, Pattern, Tail, Test};
use crate::value::{Value, ValueRef};

/// Parts that all must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conjunction<'p> {
    pub(super) atoms: Vec<Atom<'p>>,
    /// What no atom stands for.
    pub(super) rest: Vec<Condition>,
    /// Where there must be a value if `rest` holds.
    present: Vec<&'p Path>,
}

/// A test that an index can look up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Atom<'p> {
    pub(super) path: &'p Path,
    pub(super) domain: Domain,
    pub(super) test: AtomTest,
}

/// What an atom says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AtomTest {
    /// Equal to one of these, or, of a prefix domain, begins with it.
    Among(Vec<OwnedConstant>),
    /// The key lies between these, both included.
    Within { low: u64, high: u64 },
}

/// Returns conjunctions of which one holds exactly where the condition is TRUE; at most [`CAP`].
pub(super) fn conjunctions(condition: &Condition) -> Vec<Conjunction<'_>> {
    let mut all = expand(condition, true);
    for one in &mut all {
        one.require_presence();
    }
    all
}

fn expand(of: &Condition, wanted: bool) -> Vec<Conjunction<'_>> {
    match of {
        Condition::Constant(value) if *value == Some(wanted) => vec![Conjunction::default()],
        Condition::Constant(_) => Vec::new(),
        Condition::Not(inner) => expand(inner, !wanted),
        Condition::And(all) if wanted => product(all, wanted),
        Condition::Or(all) if !wanted => product(all, wanted),
        Condition::And(all) | Condition::Or(all) => {
            let parts = all.iter().flat_map(|one| expand(one, wanted)).collect();
            let parts = merged(parts);
            if parts.len() > CAP {
                return vec![collapsed(&parts, of, wanted)];
            }
            parts
        }
        Condition::Test { path, test } => leaf(path, test, of, wanted),
        Condition::Compare(sides) => {
            let present = vec![&sides.left, &sides.right];
            vec![Conjunction::of_rest(of, wanted, present)]
        }
    }
}

/// Returns the conjunctions of all combinations of parts; where these are too many, what has most
/// parts stays a condition behind what its parts have in common.
fn product(all: &[Condition], wanted: bool) -> Vec<Conjunction<'_>> {
    let mut parts: Vec<_> = all.iter().map(|one| expand(one, wanted)).collect();
    let count = |parts: &[Vec<_>]| {
        parts
            .iter()
            .fold(1_usize, |n, of| n.saturating_mul(of.len()))
    };
    while count(&parts) > CAP {
        let Some(most) = (0..parts.len()).max_by_key(|at| parts[*at].len()) else {
            break;
        };
        parts[most] = vec![collapsed(&parts[most], &all[most], wanted)];
    }
    let mut result = vec![Conjunction::default()];
    for part in &parts {
        let mut next = Vec::with_capacity(result.len() * part.len());
        for one in &result {
            next.extend(part.iter().filter_map(|other| one.and(other)));
        }
        result = next;
    }
    result
}

/// Returns the condition behind the atoms that each of its parts implies.
fn collapsed<'p>(parts: &[Conjunction<'p>], of: &Condition, wanted: bool) -> Conjunction<'p> {
    let mut result = Conjunction::of_rest(of, wanted, Vec::new());
    let Some((first, others)) = parts.split_first() else {
        return result;
    };
    for atom in &first.atoms {
        let mut common = Some(atom.clone());
        for other in others {
            common = common.and_then(|atom| other.atoms.iter().find_map(|one| atom.or(one)));
        }
        result.atoms.extend(common);
    }
    result
}

/// Returns the conjunctions with those that are one equality of the same attribute made one.
fn merged(parts: Vec<Conjunction<'_>>) -> Vec<Conjunction<'_>> {
    let mut result: Vec<Conjunction<'_>> = Vec::with_capacity(parts.len());
    for part in parts {
        let same = result.iter_mut().find_map(|one| {
            let wider = one.single_equality()?.or(part.single_equality()?)?;
            Some((one, wider))
        });
        match same {
            Some((one, wider)) => one.atoms = vec![wider],
            None => result.push(part),
        }
    }
    result
}

fn leaf<'p>(path: &'p Path, test: &'p Test, of: &Condition, wanted: bool) -> Vec<Conjunction<'p>> {
    let rest = || vec![Conjunction::of_rest(of, wanted, vec![path])];
    match test {
        Test::Compare {
            op,
            value,
            collation,
        } => {
            let op = if wanted { *op } else { opposite(*op) };
            comparison(path, op, value.view(), *collation, of, wanted)
        }
        Test::IsNull => {
            let constant = match wanted {
                true => Constant::Absent,
                false => Constant::Present,
            };
            vec![Conjunction::equality(
                path,
                Domain::Presence,
                vec![constant],
            )]
        }
        Test::In(members) if wanted => {
            let single = |value: &Value| equality(path, value.view(), members.collation());
            let all: Option<Vec<_>> = members.values().iter().map(single).collect();
            all.map_or_else(rest, merged)
        }
        Test::Groups { groups, collation } if wanted => {
            let all = groups
                .iter()
                .map(|group| group_members(path, group, *collation));
            let all: Option<Vec<_>> = all.collect();
            let Some(all) = all else { return rest() };
            let parts = merged(all.into_iter().flatten().collect());
            if parts.len() > CAP {
                return vec![collapsed(&parts, of, wanted)];
            }
            parts
        }
        Test::Like(pattern) if wanted => vec![like(path, pattern, of)],
        Test::In(_) | Test::Groups { .. } | Test::Like(_) => rest(),
    }
}

fn comparison<'p>(
    path: &'p Path,
    op: CompareOp,
    value: ValueRef<'_>,
    collation: Collation,
    of: &Condition,
    wanted: bool,
) -> Vec<Conjunction<'p>> {
    let rest = || Conjunction::of_rest(of, wanted, vec![path]);
    let Some(domain) = Domain::of(value, collation) else {
        // A comparison with NULL is UNKNOWN whatever the operator.
        let unknown = matches!(value, ValueRef::Null | ValueRef::F64(_));
        return if unknown { Vec::new() } else { vec![rest()] };
    };
    match op {
        CompareOp::Eq => equality(path, value, collation).into_iter().collect(),
        CompareOp::Ne => vec![rest()],
        _ => match range(op, value, domain) {
            Some((low, high, exact)) => {
                let mut result = if exact {
                    Conjunction::default()
                } else {
                    rest()
                };
                let test = AtomTest::Within { low, high };
                result.atoms.push(Atom { path, domain, test });
                vec![result]
            }
            None => Vec::new(),
        },
    }
}

/// Returns the keys of the values that fulfil the comparison, and whether they are of no others;
/// `None` if there are none.
fn range(op: CompareOp, value: ValueRef<'_>, domain: Domain) -> Option<(u64, u64, bool)> {
    let key = match value {
        ValueRef::Str(text) if domain.is_folded() => {
            OrderKey::of(ValueRef::Str(&text.to_ascii_lowercase()))
        }
        value => OrderKey::of(value),
    };
    let OrderKey { key, exact } = key?;
    let beside = u64::from(exact);
    Some(match op {
        CompareOp::Lt => (0, key.checked_sub(beside)?, exact),
        CompareOp::Le => (0, key, exact),
        CompareOp::Gt => (key.checked_add(beside)?, u64::MAX, exact),
        _ => (key, u64::MAX, exact),
    })
}

/// Returns the conjunction that all members are equal to the value or contained in the list; no
/// conjunction if one is NULL, and `None` if one is no single value.
fn group_members<'p>(
    path: &'p Path,
    group: &[Value],
    collation: Collation,
) -> Option<Option<Conjunction<'p>>> {
    let mut result = Some(Conjunction::default());
    for value in group {
        if matches!(value, Value::Null) {
            result = None;
            continue;
        }
        let member = equality(path, value.view(), collation)?;
        result = result.and_then(|result| result.and(&member));
    }
    Some(result)
}

fn equality<'p>(
    path: &'p Path,
    value: ValueRef<'_>,
    collation: Collation,
) -> Option<Conjunction<'p>> {
    let domain = Domain::of(value, collation)?;
    let constant = match (value, domain) {
        (ValueRef::Str(text), Domain::Folded) => owned_text(&text.to_ascii_lowercase()),
        _ => ConstantRef::of(value)?.to_owned(),
    };
    Some(Conjunction::equality(path, domain, vec![constant]))
}

fn like<'p>(path: &'p Path, pattern: &Pattern, of: &Condition) -> Conjunction<'p> {
    let (prefix, tail) = pattern.prefix();
    let domain = match pattern.collation() {
        Collation::Exact => Domain::Prefix,
        Collation::IgnoreAsciiCase => Domain::FoldedPrefix,
    };
    let mut result = Conjunction::equality(path, domain, vec![owned_text(&prefix)]);
    if tail != Tail::Anything {
        result.rest.push(of.clone());
    }
    result
}

fn owned_text(text: &str) -> OwnedConstant {
    Constant::Text(text.as_bytes()).to_owned()
}

/// Returns the operator that holds where the given one is FALSE.
fn opposite(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Eq => CompareOp::Ne,
        CompareOp::Ne => CompareOp::Eq,
        CompareOp::Lt => CompareOp::Ge,
        CompareOp::Le => CompareOp::Gt,
        CompareOp::Gt => CompareOp::Le,
        CompareOp::Ge => CompareOp::Lt,
    }
}

impl<'p> Conjunction<'p> {
    fn equality(path: &'p Path, domain: Domain, among: Vec<OwnedConstant>) -> Self {
        let test = AtomTest::Among(among);
        Self {
            atoms: vec![Atom { path, domain, test }],
            ..Self::default()
        }
    }

    fn of_rest(of: &Condition, wanted: bool, present: Vec<&'p Path>) -> Self {
        let rest = match wanted {
            true => of.clone(),
            false => Condition::Not(Box::new(of.clone())),
        };
        Self {
            atoms: Vec::new(),
            rest: vec![rest],
            present,
        }
    }

    /// Returns the conjunction of both, or `None` if it cannot hold.
    fn and(&self, other: &Self) -> Option<Self> {
        let mut result = self.clone();
        for atom in &other.atoms {
            result.add(atom)?;
        }
        result.rest.extend_from_slice(&other.rest);
        result.present.extend_from_slice(&other.present);
        Some(result)
    }

    fn add(&mut self, atom: &Atom<'p>) -> Option<()> {
        for mine in self
            .atoms
            .iter_mut()
            .filter(|mine| mine.is_about_what(atom))
        {
            match (&mut mine.test, &atom.test) {
                (
                    AtomTest::Within { low, high },
                    AtomTest::Within {
                        low: other_low,
                        high: other_high,
                    },
                ) => {
                    *low = (*low).max(*other_low);
                    *high = (*high).min(*other_high);
                    return (*low <= *high).then_some(());
                }
                (mine, other) if *mine == *other => return Some(()),
                _ => {}
            }
        }
        self.atoms.push(atom.clone());
        Some(())
    }

    /// Returns the only part, if it is an equality that can be widened.
    fn single_equality(&self) -> Option<&Atom<'p>> {
        match self.atoms.as_slice() {
            [atom] if self.rest.is_empty() && atom.is_equality() => Some(atom),
            _ => None,
        }
    }

    /// Adds what `rest` implies where nothing else can be looked up.
    fn require_presence(&mut self) {
        if !self.atoms.is_empty() {
            return;
        }
        for path in std::mem::take(&mut self.present) {
            let present = Self::equality(path, Domain::Presence, vec![Constant::Present]);
            if !self.atoms.contains(&present.atoms[0]) {
                self.atoms.extend(present.atoms);
            }
        }
    }
}

impl<'p> Atom<'p> {
    fn is_about_what(&self, other: &Self) -> bool {
        self.domain == other.domain && self.path == other.path
    }

    /// Returns whether it is an equality of which at most one holds, but for lists.
    fn is_equality(&self) -> bool {
        matches!(self.test, AtomTest::Among(_)) && !self.domain.is_prefix()
    }

    /// Returns an atom that holds where one of both holds, if there is one.
    fn or(&self, other: &Self) -> Option<Self> {
        if !self.is_about_what(other) {
            return None;
        }
        let test = match (&self.test, &other.test) {
            (AtomTest::Among(a), AtomTest::Among(b)) if self.is_equality() => {
                let mut among = a.clone();
                let new = b.iter().filter(|constant| !a.contains(constant));
                among.extend(new.cloned());
                AtomTest::Among(among)
            }
            (AtomTest::Within { low: a, high: b }, AtomTest::Within { low: c, high: d }) => {
                AtomTest::Within {
                    low: *a.min(c),
                    high: *b.max(d),
                }
            }
            (a, b) if a == b => a.clone(),
            _ => return None,
        };
        Some(Self { test, ..*self })
    }
}

/// The most conjunctions that a filter becomes. Each has a place of its own in the index, and costs
/// as much as a filter; beyond that, one check of the whole condition is the lesser cost. Small
/// under test, so that few reach what many do.
pub(super) const CAP: usize = if cfg!(test) { 6 } else { 32 };
