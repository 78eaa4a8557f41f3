//! Nexmark: people, auctions and bids of an online auction house, and the queries over them.
//!
//! Proportions, hot keys and value ranges follow the published generator of the Nexmark benchmark (1 person, 3 auctions and
//! 46 bids in 50 events); the random numbers are ours. The same number gives the same event everywhere.

pub mod queries;
pub mod tables;

use crate::bid::mixed;

/// Events in which each kind comes as often as it should.
const EPOCH: u64 = 50;
/// Auctions per epoch; one person comes before them, bids after.
const AUCTIONS: u64 = 3;
/// Where numbers of people and auctions begin.
const FIRST: u64 = 1_000;
/// Auctions that are open at a time.
const OPEN_AUCTIONS: u64 = 100;
/// People who are active at a time.
const ACTIVE_PEOPLE: u64 = 1_000;
/// Bids may name auctions and people that come a little later.
const LEAD: u64 = 10;
/// One in so many auctions and people is hot.
const HOT_STEP: u64 = 100;
/// The event time of the first event: 2024-03-01 00:00, milliseconds.
const BEGINNING_MS: i64 = 1_709_251_200_000;

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
/// Channels that are not hot.
const CHANNELS: u64 = 10_000;

/// Draws numbers for one event.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mixed(self.0)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    fn one_of(&mut self, all: &[&'static str]) -> &'static str {
        all[self.below(all.len() as u64) as usize]
    }

    /// Prices are spread evenly by their logarithm: 100 to 100,000,000.
    fn price(&mut self) -> u64 {
        let unit = self.next() as f64 / u64::MAX as f64;
        (10f64.powf(unit * 6.0) * 100.0).round() as u64
    }

    /// Letters, about `length` of them.
    fn letters(&mut self, length: u64) -> String {
        let length = length - length / 5 + self.below(2 * length / 5 + 1);
        let mut text = String::with_capacity(length as usize + 8);
        while text.len() < length as usize {
            let mut drawn = self.next();
            for _ in 0..8 {
                text.push(char::from(b'a' + (drawn % 26) as u8));
                drawn /= 26;
            }
        }
        text.truncate(length as usize);
        text
    }
}

/// Somebody who sells and bids.
pub struct Person {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub credit_card: String,
    pub city: &'static str,
    pub state: &'static str,
    pub time_ms: i64,
    pub extra: String,
}

/// Something that is sold.
pub struct Auction {
    pub id: u64,
    pub item: String,
    pub description: String,
    pub initial_bid: u64,
    pub reserve: u64,
    pub time_ms: i64,
    pub expires_ms: i64,
    pub seller: u64,
    pub category: u64,
    pub extra: String,
}

/// What is offered for it.
pub struct Bid {
    pub auction: u64,
    pub bidder: u64,
    pub price: u64,
    pub channel: String,
    pub url: String,
    pub time_ms: i64,
    pub extra: String,
}

/// What happens.
pub enum Event {
    Person(Person),
    Auction(Auction),
    Bid(Bid),
}

/// Which events there are.
#[derive(Debug, Clone, Copy)]
pub struct Events {
    /// Events per second of event time.
    pub per_second: u64,
}

impl Events {
    fn time_of(self, number: u64) -> i64 {
        BEGINNING_MS + (number * 1_000 / self.per_second) as i64
    }

    /// The event of that number.
    pub fn event(self, number: u64) -> Event {
        let mut draws = Draws(mixed(number));
        let time_ms = self.time_of(number);
        match number % EPOCH {
            0 => Event::Person(person(number / EPOCH, time_ms, &mut draws)),
            turn if turn <= AUCTIONS => Event::Auction(self.auction(number, time_ms, &mut draws)),
            _ => Event::Bid(bid(number, time_ms, &mut draws)),
        }
    }

    fn auction(self, number: u64, time_ms: i64, draws: &mut Draws) -> Auction {
        let initial_bid = draws.price();
        // So long as so many others take to come.
        let ahead = OPEN_AUCTIONS * EPOCH / AUCTIONS;
        let horizon = (self.time_of(number + ahead) - time_ms).max(1) as u64;
        Auction {
            id: FIRST + last_auction(number),
            item: draws.letters(20),
            description: draws.letters(100),
            initial_bid,
            reserve: initial_bid + draws.price(),
            time_ms,
            expires_ms: time_ms + 1 + draws.below(2 * horizon) as i64,
            seller: if draws.below(4) > 0 {
                FIRST + last_person(number) / HOT_STEP * HOT_STEP
            } else {
                FIRST + any_person(number, draws)
            },
            category: 10 + draws.below(5),
            extra: draws.letters(300),
        }
    }
}

fn person(index: u64, time_ms: i64, draws: &mut Draws) -> Person {
    let card = draws.next();
    let group = |shift: u32| (card >> shift) % 10_000;
    Person {
        id: FIRST + index,
        name: format!("{} {}", draws.one_of(&FIRST_NAMES), draws.one_of(&LAST_NAMES)),
        email: format!("{}@{}.com", draws.letters(7), draws.letters(5)),
        credit_card: format!("{:04} {:04} {:04} {:04}", group(0), group(14), group(28), group(42)),
        city: draws.one_of(&CITIES),
        state: draws.one_of(&STATES),
        time_ms,
        extra: draws.letters(100),
    }
}

fn bid(number: u64, time_ms: i64, draws: &mut Draws) -> Bid {
    let newest = last_auction(number);
    let auction = if draws.below(2) > 0 {
        newest / HOT_STEP * HOT_STEP
    } else {
        let oldest = newest.saturating_sub(OPEN_AUCTIONS);
        oldest + draws.below(newest - oldest + 1 + LEAD)
    };
    let bidder = if draws.below(4) > 0 {
        last_person(number) / HOT_STEP * HOT_STEP + 1
    } else {
        any_person(number, draws)
    };
    let price = draws.price();
    let (channel, url) = if draws.below(2) > 0 {
        let channel = draws.one_of(&HOT_CHANNELS);
        (
            channel.to_owned(),
            format!("https://www.nexmark.com/{}/item.htm?query=1", path_of(channel.len() as u64)),
        )
    } else {
        let number = draws.below(CHANNELS);
        let mut url = format!("https://www.nexmark.com/{}/item.htm?query=1", path_of(mixed(number)));
        if draws.below(10) > 0 {
            url.push_str(&format!("&channel_id={}", (number as u32).reverse_bits() >> 1));
        }
        (format!("channel-{number}"), url)
    };
    Bid {
        auction: FIRST + auction,
        bidder: FIRST + bidder,
        price,
        channel,
        url,
        time_ms,
        extra: draws.letters(68),
    }
}

/// Three folders of five letters each.
fn path_of(seed: u64) -> String {
    let mut draws = Draws(mixed(seed));
    let mut folder = || -> String { (0..5).map(|_| char::from(b'a' + draws.below(26) as u8)).collect() };
    format!("{}/{}/{}", folder(), folder(), folder())
}

/// The index of the newest auction when that event comes.
fn last_auction(number: u64) -> u64 {
    let turn = number % EPOCH;
    let before = number / EPOCH * AUCTIONS;
    if turn == 0 { before.saturating_sub(1) } else { before + turn.min(AUCTIONS) - 1 }
}

/// The index of the newest person when that event comes.
fn last_person(number: u64) -> u64 {
    number / EPOCH
}

/// One of the people who are active.
fn any_person(number: u64, draws: &mut Draws) -> u64 {
    let people = last_person(number) + 1;
    let active = people.min(ACTIVE_PEOPLE);
    people - active + draws.below(active + LEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_their_proportions_and_in_order() {
        let events = Events { per_second: 1_000 };
        let (mut people, mut auctions, mut bids) = (0, 0, 0);
        for number in 0..10_000 {
            match events.event(number) {
                Event::Person(person) => {
                    assert_eq!(person.id, FIRST + people);
                    people += 1;
                }
                Event::Auction(auction) => {
                    assert_eq!(auction.id, FIRST + auctions);
                    assert!(auction.expires_ms > auction.time_ms);
                    auctions += 1;
                }
                Event::Bid(bid) => {
                    assert!(bid.auction >= FIRST && bid.auction <= FIRST + auctions + LEAD);
                    assert_eq!(bid.time_ms, BEGINNING_MS + number as i64);
                    bids += 1;
                }
            }
        }
        assert_eq!((people, auctions, bids), (200, 600, 9_200));
    }
}
