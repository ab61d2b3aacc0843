-- There is no sequence here: the next number is the largest and one.
SELECT 1;
