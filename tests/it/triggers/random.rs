//! Random triggers, the same in every run: a failure names the seed that makes it again.

use serde_json::{Value, json};

use super::ZONES;

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `from` up to and with `to`.
    pub(super) fn number(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next() % (to - from + 1) as u64) as i64
    }

    pub(super) fn one_in(&mut self, n: i64) -> bool {
        self.number(1, n) == 1
    }

    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.number(0, items.len() as i64 - 1) as usize]
    }

    /// One to three values, in order.
    pub(super) fn values(&mut self, from: i64, to: i64) -> Vec<i64> {
        let mut values: Vec<_> = (0..self.number(1, 3)).map(|_| self.number(from, to)).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// A field of either form: `*`, a list, a range, a step.
    pub(super) fn field(&mut self, from: i64, to: i64) -> String {
        let low = self.number(from, to - 2);
        let high = self.number(low + 1, to);
        let step = self.number(1, high - low);
        match self.number(0, 6) {
            0 | 1 => "*".to_owned(),
            2 => format!("*/{}", self.number(1, (to - from).min(15))),
            3 => format!("{low}-{high}"),
            4 => format!("{low}-{high}/{step}"),
            5 => format!("{low}/{}", self.number(1, to - low)),
            _ => join(&self.values(from, to)),
        }
    }

    /// An expression of five, six or seven fields.
    pub(super) fn expression(&mut self) -> String {
        let day = match self.number(0, 9) {
            0 => "L".to_owned(),
            1 => format!("L-{}", self.number(1, 30)),
            2 => format!("{}W", self.number(1, 31)),
            3 => format!("LW,{}", self.number(1, 31)),
            4 | 5 => self.field(1, 31),
            _ => "*".to_owned(),
        };
        let weekday = match self.number(0, 9) {
            0 => format!("{}#{}", self.number(0, 7), self.number(1, 5)),
            1 => format!("{}L", self.pick(&["mon", "Fri", "0", "7"])),
            2 => "fri-sun".to_owned(),
            3 | 4 => self.field(0, 7),
            _ => "?".to_owned(),
        };
        let minute = self.field(0, 59);
        let rest = format!("{minute} {} {day} {} {weekday}", self.field(0, 23), self.field(1, 12));
        match self.number(0, 3) {
            0 => format!("{} {rest}", self.field(0, 59)),
            1 => {
                format!("{} {rest} {}", self.field(0, 59), self.pick(&["*", "2024-2030", "*/2", "2026,2028"]))
            }
            _ => rest,
        }
    }

    /// The JSON form of any trigger but `shutdown`; combinations have simple members.
    pub(super) fn trigger(&mut self) -> Value {
        match self.number(0, 7) {
            0 => {
                let members: Vec<_> = (0..self.number(1, 3)).map(|_| self.simple_trigger()).collect();
                json!({"type": "or", "triggers": members})
            }
            1 => {
                let grid =
                    json!({"type": "interval", "minutes": self.number(1, 90), "start_at": self.time()});
                json!({"type": "and", "triggers": [self.simple_trigger(), grid]})
            }
            _ => self.simple_trigger(),
        }
    }

    pub(super) fn simple_trigger(&mut self) -> Value {
        let mut trigger = match self.number(0, 9) {
            0 => return json!({"type": "date", "run_at": self.time(), "timezone": self.pick(&ZONES)}),
            1 | 2 => json!({
                "type": "interval",
                "hours": self.number(0, 40),
                "minutes": self.number(0, 70),
                "seconds": self.number(1, 70),
                "start_at": self.time(),
                "jitter": self.number(0, 3000) as f64 / 1000.0,
            }),
            3 | 4 => {
                return json!({
                    "type": "calendar_interval",
                    "months": self.number(0, 13),
                    "days": self.number(1, 40),
                    "hour": self.number(0, 23),
                    "minute": self.number(0, 59),
                    "start_date": self.time()[..10],
                    "timezone": self.pick(&ZONES),
                });
            }
            5 | 6 => json!({"type": "cron", "fields": {
                "day": self.pick(&["*", "last", "1st mon, last fri", "*/9", "13"]),
                "week": if self.one_in(4) { self.field(1, 53) } else { "*".to_owned() },
                "day_of_week": self.field(0, 6),
                "hour": self.field(0, 23),
                "minute": self.field(0, 59),
            }}),
            _ => json!({"type": "cron", "expression": self.expression()}),
        };
        if self.one_in(3) {
            trigger["timezone"] = (*self.pick(&ZONES)).into();
        }
        if self.one_in(4) {
            trigger["end_at"] = format!("{}Z", self.time().replacen("20", "23", 1)).into();
        }
        if trigger["type"] == "cron" && self.one_in(3) {
            trigger["dst"] = (*self.pick(&["smart", "literal"])).into();
        }
        trigger
    }

    /// A naive time between 2024 and 2030.
    fn time(&mut self) -> String {
        format!(
            "{}-{:02}-{:02}T{:02}:{:02}:{:02}",
            self.number(2024, 2030),
            self.number(1, 12),
            self.number(1, 28),
            self.number(0, 23),
            self.number(0, 59),
            self.number(0, 59)
        )
    }
}

pub(super) fn join(values: &[i64]) -> String {
    values.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}
