-- When all of its money had come, and when it failed, was cancelled or was completed: what events are compared with.
ALTER TABLE orders ADD COLUMN paid_at INTEGER;
ALTER TABLE orders ADD COLUMN ended_at INTEGER;
-- Paid before anybody was told of it: nobody is told now.
UPDATE orders SET paid_at = 0 WHERE payment_status IN ('paid', 'partially_refunded', 'refunded');
-- Nobody has heard of it under its old name.
UPDATE outbox SET kind = 'order.refunded' WHERE kind = 'order.payment_refunded';
