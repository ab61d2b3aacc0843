-- Whose numbers they are: a copy goes on counting where its source stopped.
ALTER SEQUENCE order_numbers OWNED BY orders.number;
