//! The made-up site: its pages, its visitors' browsers, and what goes wrong there.

use super::random::{Random, Weighted, mix};

const SECTIONS: [&str; 8] = ["blog", "docs", "products", "images", "static", "api/v1", "forum", "downloads"];

const TOPICS: [&str; 16] = [
    "rivers",
    "eddies",
    "weirs",
    "tides",
    "currents",
    "locks",
    "canals",
    "deltas",
    "rapids",
    "springs",
    "mills",
    "ferries",
    "bridges",
    "harbours",
    "lagoons",
    "estuaries",
];

const ENDINGS: [(&str, &str); 8] = [
    ("blog", ".html"),
    ("docs", "/"),
    ("products", ""),
    ("images", ".png"),
    ("static", ".css"),
    ("api/v1", ".json"),
    ("forum", ""),
    ("downloads", ".tar.gz"),
];

/// The number of paths with content besides the front page.
const PAGES: u64 = 400;

/// Browsers and robots with their weights. One holds escaped quotes, as real ones do.
const AGENTS: [(&str, u64); 8] = [
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        40,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
        25,
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", 12),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
        12,
    ),
    ("Mozilla/5.0 (compatible; HeronBot/2.1; +http://heron.example/bot.html)", 6),
    ("curl/8.8.0", 2),
    (r#"FeedReader/3.2 (\"quiet mode\"; 14 subscribers)"#, 2),
    ("-", 1),
];

const REFERERS: [&str; 4] = [
    "-",
    "https://search.example/?q=eddies+and+rivers",
    "https://news.example/item/4711",
    "https://mastodon.example/@ada",
];

/// A status with its weight of 10,000 for ordinary pages; 200 takes the rest.
const STATUSES: [(u16, u64); 9] =
    [(304, 600), (404, 250), (301, 150), (206, 80), (403, 60), (302, 60), (500, 15), (499, 10), (405, 5)];

const STATUS_WEIGHT_TOTAL: u64 = 10_000;

/// One thing on the site.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) path: String,
    /// The usual size of its body in bytes.
    pub(super) bytes: u64,
}

/// What can be asked for, and by whom.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pages: Vec<Page>,
    popularity: Weighted,
    agents: Weighted,
}

impl Site {
    /// The site of a seed; other seeds have other pages in front.
    pub(super) fn new(seed: u64) -> Self {
        let mut pages = vec![Page { path: "/".to_string(), bytes: 11_264 }];
        for number in 0..PAGES {
            let dice = mix(seed ^ mix(number));
            let section = SECTIONS[(dice % 8) as usize];
            let topic = TOPICS[(dice >> 8) as usize % TOPICS.len()];
            let ending = ENDINGS.iter().find(|(of, _)| *of == section).map_or("", |(_, ending)| ending);
            // The number keeps paths apart, so that popularity is what the ranks say: multiplication modulo a
            // prime above `PAGES` maps different numbers to different ones.
            let identity = number * 149 % 401;
            let path = format!("/{section}/{topic}-{identity}{ending}");
            // Sizes from 256 bytes to 512 KiB, each doubling equally likely.
            let bytes = (256 + (dice >> 20) % 256) << ((dice >> 40) % 11);
            pages.push(Page { path, bytes });
        }
        let popularity = Weighted::zipf(pages.len() as u64);
        let agents = Weighted::new(AGENTS.iter().map(|(_, weight)| *weight));
        Site { pages, popularity, agents }
    }

    pub(super) fn page(&self, random: &mut Random) -> &Page {
        &self.pages[self.popularity.pick(random)]
    }

    pub(super) fn agent(&self, random: &mut Random) -> &'static str {
        AGENTS[self.agents.pick(random)].0
    }

    pub(super) fn entry_referer(random: &mut Random) -> &'static str {
        REFERERS[random.below(REFERERS.len() as u64) as usize]
    }

    /// A status for an ordinary request, or one during an incident, when every third fails.
    pub(super) fn status(random: &mut Random, incident: bool) -> u16 {
        if incident && random.chance(1, 3) {
            return 503;
        }
        let mut point = random.below(STATUS_WEIGHT_TOTAL);
        for (status, weight) in STATUSES {
            if point < weight {
                return status;
            }
            point -= weight;
        }
        200
    }
}

/// The address of a visitor: mostly IPv4, one in eight IPv6. Different visitors have different addresses.
pub(super) fn address(seed: u64, visitor: u64) -> String {
    // Multiplication by an odd number and exclusive or are bijections of 24 bits, so no address repeats within
    // 2^24 visitors; the first byte varies within 11 to 90, clear of reserved networks.
    let scrambled = (visitor ^ (mix(seed) & 0xff_ffff)).wrapping_mul(0x9e_3779) & 0xff_ffff;
    let block = mix(visitor ^ seed) % 80 + 11;
    let [_, first, second, third] = (scrambled as u32).to_be_bytes();
    if visitor % 8 == 7 {
        format!("2001:db8:{:x}:{first:x}:{second:x}::{third:x}", block)
    } else {
        format!("{block}.{first}.{second}.{third}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn addresses_and_paths_do_not_repeat() {
        let addresses: BTreeSet<String> = (0..50_000).map(|visitor| address(3, visitor)).collect();
        assert_eq!(addresses.len(), 50_000);
        let site = Site::new(3);
        let paths: BTreeSet<&str> = site.pages.iter().map(|page| page.path.as_str()).collect();
        assert_eq!(paths.len(), site.pages.len());
    }
}
