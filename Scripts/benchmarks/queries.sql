CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, amount INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROWS)
INSERT INTO item SELECT i, printf('item-%d', i * 7919 % ROWS), i * i % 1009 FROM n;
CREATE INDEX item_name ON item(name);
SELECT count(*), sum(amount), min(name), max(name) FROM item;
SELECT amount, count(*) FROM item GROUP BY amount ORDER BY count(*) DESC, amount LIMIT 5;
SELECT count(*) FROM item a JOIN item b ON b.name = 'item-' || a.amount WHERE a.amount % 3 = 0;
UPDATE item SET amount = amount + length(name) WHERE id % 2 = 0;
SELECT sum(amount) FROM item WHERE name LIKE '%99%';
