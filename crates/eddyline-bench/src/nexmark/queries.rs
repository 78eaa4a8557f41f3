//! Nexmark's queries in SQL, q0 to q22, without q6, which Flink cannot run, and with windows by event time where the original
//! has its own clock.

/// A query.
pub struct Query {
    pub name: &'static str,
    /// Whether it keeps so much state that a fifth of the events is enough to measure it.
    pub heavy: bool,
    pub text: &'static str,
}

const fn light(name: &'static str, text: &'static str) -> Query {
    Query { name, heavy: false, text }
}

const fn heavy(name: &'static str, text: &'static str) -> Query {
    Query { name, heavy: true, text }
}

/// All of them.
pub const ALL: &[Query] = &[
    light("q0", "SELECT auction, bidder, price, `dateTime`, extra FROM bid"),
    light("q1", "SELECT auction, bidder, 0.908 * price AS price, `dateTime`, extra FROM bid"),
    light("q2", "SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0"),
    light(
        "q3",
        "SELECT P.name, P.city, P.state, A.id FROM auction AS A INNER JOIN person AS P ON A.seller = P.id \
         WHERE A.category = 10 AND (P.state = 'OR' OR P.state = 'ID' OR P.state = 'CA')",
    ),
    heavy(
        "q4",
        "SELECT Q.category, AVG(Q.final) FROM (SELECT MAX(B.price) AS final, A.category FROM auction A, bid B \
         WHERE A.id = B.auction AND B.`dateTime` BETWEEN A.`dateTime` AND A.expires GROUP BY A.id, A.category) Q \
         GROUP BY Q.category",
    ),
    light(
        "q5",
        "SELECT AuctionBids.auction, AuctionBids.num FROM (SELECT auction, count(*) AS num, window_start AS starttime, \
         window_end AS endtime FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' \
         SECOND)) GROUP BY auction, window_start, window_end) AS AuctionBids JOIN (SELECT max(CountBids.num) AS maxn, \
         CountBids.starttime, CountBids.endtime FROM (SELECT count(*) AS num, window_start AS starttime, window_end AS \
         endtime FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY \
         auction, window_start, window_end) AS CountBids GROUP BY CountBids.starttime, CountBids.endtime) AS MaxBids ON \
         AuctionBids.starttime = MaxBids.starttime AND AuctionBids.endtime = MaxBids.endtime AND AuctionBids.num >= \
         MaxBids.maxn",
    ),
    heavy(
        "q7",
        "SELECT B.auction, B.price, B.bidder, B.`dateTime`, B.extra FROM bid B JOIN (SELECT MAX(price) AS maxprice, \
         window_end AS `dateTime` FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)) GROUP BY \
         window_start, window_end) B1 ON B.price = B1.maxprice WHERE B.`dateTime` BETWEEN B1.`dateTime` - INTERVAL '10' \
         SECOND AND B1.`dateTime`",
    ),
    light(
        "q8",
        "SELECT P.id, P.name, P.starttime FROM (SELECT id, name, window_start AS starttime, window_end AS endtime FROM \
         TABLE(TUMBLE(TABLE person, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)) GROUP BY id, name, window_start, \
         window_end) P JOIN (SELECT seller, window_start AS starttime, window_end AS endtime FROM TABLE(TUMBLE(TABLE \
         auction, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)) GROUP BY seller, window_start, window_end) A ON P.id = \
         A.seller AND P.starttime = A.starttime AND P.endtime = A.endtime",
    ),
    heavy(
        "q9",
        "SELECT id, itemName, description, initialBid, reserve, `dateTime`, expires, seller, category, extra, auction, \
         bidder, price, bid_dateTime, bid_extra FROM (SELECT A.*, B.auction, B.bidder, B.price, B.`dateTime` AS \
         bid_dateTime, B.extra AS bid_extra, ROW_NUMBER() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.`dateTime` ASC) \
         AS rownum FROM auction A, bid B WHERE A.id = B.auction AND B.`dateTime` BETWEEN A.`dateTime` AND A.expires) WHERE \
         rownum <= 1",
    ),
    light(
        "q10",
        "SELECT auction, bidder, price, `dateTime`, extra, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd') AS dt, \
         DATE_FORMAT(`dateTime`, 'HH:mm') AS hm FROM bid",
    ),
    light(
        "q11",
        "SELECT bidder, count(*) AS bid_count, window_start, window_end FROM TABLE(SESSION(TABLE bid PARTITION BY bidder, \
         DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)) GROUP BY bidder, window_start, window_end",
    ),
    light(
        "q12",
        "SELECT bidder, count(*) AS bid_count, window_start, window_end FROM TABLE(TUMBLE(TABLE bid, \
         DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)) GROUP BY bidder, window_start, window_end",
    ),
    light(
        "q14",
        "SELECT auction, bidder, 0.908 * price AS price, CASE WHEN HOUR(`dateTime`) >= 8 AND HOUR(`dateTime`) <= 18 THEN \
         'dayTime' WHEN HOUR(`dateTime`) <= 6 OR HOUR(`dateTime`) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS \
         bidTimeType, `dateTime`, extra, CHAR_LENGTH(extra) - CHAR_LENGTH(REPLACE(extra, 'c', '')) AS c_counts FROM bid \
         WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000",
    ),
    light(
        "q15",
        "SELECT DATE_FORMAT(`dateTime`, 'yyyy-MM-dd') AS `day`, count(*) AS total_bids, count(*) filter (where price < \
         10000) AS rank1_bids, count(*) filter (where price >= 10000 and price < 1000000) AS rank2_bids, count(*) filter \
         (where price >= 1000000) AS rank3_bids, count(distinct bidder) AS total_bidders, count(distinct bidder) filter \
         (where price < 10000) AS rank1_bidders, count(distinct bidder) filter (where price >= 10000 and price < 1000000) \
         AS rank2_bidders, count(distinct bidder) filter (where price >= 1000000) AS rank3_bidders, count(distinct \
         auction) AS total_auctions, count(distinct auction) filter (where price < 10000) AS rank1_auctions, \
         count(distinct auction) filter (where price >= 10000 and price < 1000000) AS rank2_auctions, count(distinct \
         auction) filter (where price >= 1000000) AS rank3_auctions FROM bid GROUP BY DATE_FORMAT(`dateTime`, \
         'yyyy-MM-dd')",
    ),
    heavy(
        "q16",
        "SELECT channel, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd') AS `day`, max(DATE_FORMAT(`dateTime`, 'HH:mm')) AS \
         `minute`, count(*) AS total_bids, count(*) filter (where price < 10000) AS rank1_bids, count(*) filter (where \
         price >= 10000 and price < 1000000) AS rank2_bids, count(*) filter (where price >= 1000000) AS rank3_bids, \
         count(distinct bidder) AS total_bidders, count(distinct bidder) filter (where price < 10000) AS rank1_bidders, \
         count(distinct bidder) filter (where price >= 10000 and price < 1000000) AS rank2_bidders, count(distinct \
         bidder) filter (where price >= 1000000) AS rank3_bidders, count(distinct auction) AS total_auctions, \
         count(distinct auction) filter (where price < 10000) AS rank1_auctions, count(distinct auction) filter (where \
         price >= 10000 and price < 1000000) AS rank2_auctions, count(distinct auction) filter (where price >= 1000000) \
         AS rank3_auctions FROM bid GROUP BY channel, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd')",
    ),
    light(
        "q17",
        "SELECT auction, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd') AS `day`, count(*) AS total_bids, count(*) filter (where \
         price < 10000) AS rank1_bids, count(*) filter (where price >= 10000 and price < 1000000) AS rank2_bids, count(*) \
         filter (where price >= 1000000) AS rank3_bids, min(price) AS min_price, max(price) AS max_price, avg(price) AS \
         avg_price, sum(price) AS sum_price FROM bid GROUP BY auction, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd')",
    ),
    heavy(
        "q18",
        "SELECT auction, bidder, price, channel, url, `dateTime`, extra FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY \
         bidder, auction ORDER BY `dateTime` DESC) AS rank_number FROM bid) WHERE rank_number <= 1",
    ),
    heavy(
        "q19",
        "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number FROM bid) \
         WHERE rank_number <= 10",
    ),
    heavy(
        "q20",
        "SELECT auction, bidder, price, channel, url, B.`dateTime` AS bid_dateTime, B.extra AS bid_extra, itemName, \
         description, initialBid, reserve, A.`dateTime`, expires, seller, category, A.extra FROM bid AS B INNER JOIN auction AS A ON B.auction = A.id WHERE \
         A.category = 10",
    ),
    light(
        "q21",
        "SELECT auction, bidder, price, channel, CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = \
         'google' THEN '1' WHEN lower(channel) = 'facebook' THEN '2' WHEN lower(channel) = 'baidu' THEN '3' ELSE \
         REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id FROM bid WHERE REGEXP_EXTRACT(url, \
         '(&|^)channel_id=([^&]*)', 2) IS NOT NULL OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')",
    ),
    light(
        "q22",
        "SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3) AS dir1, SPLIT_INDEX(url, '/', 4) AS dir2, \
         SPLIT_INDEX(url, '/', 5) AS dir3 FROM bid",
    ),
];
