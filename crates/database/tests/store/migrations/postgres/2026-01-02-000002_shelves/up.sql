CREATE TABLE shelves (
    code text COLLATE "C" PRIMARY KEY, within text COLLATE "C" REFERENCES shelves, open boolean NOT NULL,
    width double precision, number bigint
);
CREATE SEQUENCE shelf_numbers START 100 OWNED BY shelves.number;
