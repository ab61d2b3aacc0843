-- When all of its money had come, and when it failed, was cancelled or was completed: what events are compared with.
ALTER TABLE orders ADD COLUMN paid_at timestamptz;
ALTER TABLE orders ADD COLUMN ended_at timestamptz;
-- Paid before anybody was told of it: nobody is told now.
UPDATE orders SET paid_at = to_timestamp(0) WHERE payment_status IN ('paid', 'partially_refunded', 'refunded');
-- Nobody has heard of it under its old name.
UPDATE outbox SET kind = 'order.refunded' WHERE kind = 'order.payment_refunded';
