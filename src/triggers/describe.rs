//! The words that descriptions share.

/// "1 hour 30 minutes".
pub(super) fn duration(millis: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (604_800_000, "week"),
        (86_400_000, "day"),
        (3_600_000, "hour"),
        (60_000, "minute"),
        (1_000, "second"),
        (1, "millisecond"),
    ];
    // "day" reads better than "1 day", behind "every".
    if let Some((_, name)) = UNITS.iter().find(|(unit, _)| *unit == millis) {
        return (*name).to_owned();
    }
    let mut rest = millis;
    let parts = UNITS.iter().filter_map(|(unit, name)| {
        let count = rest / unit;
        rest %= unit;
        (count > 0).then(|| counted(count, name))
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// "1 day", "2 days".
pub(super) fn counted(count: u64, name: &str) -> String {
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// "a", "a and b", "a, b and c".
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

/// The bits as words, runs of three and more as "a to b".
pub(super) fn set(bits: u64, name: impl Fn(u32) -> String) -> String {
    let mut items = Vec::new();
    let mut rest = bits;
    while rest != 0 {
        let from = rest.trailing_zeros();
        let run = (rest >> from).trailing_ones();
        if run >= 3 {
            items.push(format!("{} to {}", name(from), name(from + run - 1)));
        } else {
            items.extend((from..from + run).map(&name));
        }
        let end = from + run;
        rest = if end > 63 { 0 } else { rest >> end << end };
    }
    list(&items)
}

/// "1st", "22nd".
pub(super) fn ordinal(n: u32) -> String {
    let suffix = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

/// Monday is 0.
pub(super) fn weekday(n: u32) -> String {
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"][n as usize % 7].to_owned()
}

/// January is 1.
pub(super) fn month(n: u32) -> String {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    NAMES[(n as usize + 11) % 12].to_owned()
}
