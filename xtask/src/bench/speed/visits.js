// What visitors do, for k6. Each function is a visit; `took` counts from when the visit was due.
import http from 'k6/http';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';

const given = JSON.parse(open(__ENV.GIVEN));
const rate = Number(__ENV.RATE);
const took = new Trend('took', true);
const wrong = new Counter('wrong');
const served = new Counter('served');

export const options = {
  scenarios: {
    visits: {
      executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: 64, maxVUs: 512, gracefulStop: '10s', exec: 'visit',
    },
  },
  discardResponseBodies: false,
  noConnectionReuse: false,
  summaryTrendStats: ['p(50)', 'p(90)', 'p(99)', 'p(99.9)'],
};

// Milliseconds that this visit begins later than it was due. The clock counts whole ones, so one is no delay.
function late() {
  const due = exec.scenario.startTime + exec.scenario.iterationInTest * 1000 / rate;
  const late = Date.now() - due;
  return late > 1 ? late : 0;
}

function ask(method, base, path, body, headers, status, behind) {
  const answer = http.request(method, base + path, body === null ? null : JSON.stringify(body), {
    headers: Object.assign({ 'content-type': 'application/json' }, headers), timeout: '15s', tags: { name: 'shop' },
  });
  const t = answer.timings;
  took.add(behind + t.blocked + t.connecting + t.tls_handshaking + t.duration);
  served.add(1);
  if (answer.status !== status) {
    wrong.add(1);
    console.error(`${method} ${path} answered ${answer.status}: ${String(answer.body).slice(0, 200)}`);
  }
  return answer;
}

const pick = (all) => all[Math.floor(Math.random() * all.length)];
const read = (path, behind) => ask('GET', given.products, path, null, {}, 200, behind);
const list = (behind) => read('/v1/products?limit=20', behind);
const detail = (behind) => read(`/v1/products/bench-${Math.floor(Math.random() * given.count)}`, behind);
const search = (behind) => read(`/v1/products?limit=20&q=${pick(given.words)}`, behind);

// Each visitor has a cart of its own.
let cart = null;

function begin(behind) {
  const body = { currency: 'EUR', lines: [{ variant_id: pick(given.variants), quantity: 1 }] };
  const made = ask('POST', given.orders, '/v1/carts', body, {}, 201, behind);
  cart = made.status === 201 ? { path: `/v1/carts/${made.json('id')}`, token: { 'x-cart-token': made.json('token') } } : null;
}

function carts(behind) {
  if (cart === null || Math.random() < 0.4) return begin(behind);
  if (Math.random() < 0.7) {
    const body = { variant_id: pick(given.variants), quantity: 1 };
    return ask('POST', given.orders, `${cart.path}/lines`, body, cart.token, 200, behind);
  }
  return ask('GET', given.orders, cart.path, null, cart.token, 200, behind);
}

// Three requests, one after another: only the first can begin late.
function checkout(behind) {
  begin(behind);
  if (cart === null) return;
  const who = { email: 'visitor@shop.example', shipping_address: given.address };
  ask('PATCH', given.orders, cart.path, who, cart.token, 200, 0);
  const key = `day-${__ENV.TURN}-${exec.scenario.iterationInTest}-${Date.now()}`;
  const headers = Object.assign({ 'idempotency-key': key }, cart.token);
  ask('POST', given.orders, `${cart.path}/checkout`, { payment: { provider: 'test', token: 'tok_ok' } }, headers, 201, 0);
  cart = null;
}

// 90 % look, 9 % fill carts, 1 % buy.
function day(behind) {
  const chance = Math.random();
  if (chance < 0.45) return list(behind);
  if (chance < 0.85) return detail(behind);
  if (chance < 0.90) return search(behind);
  return chance < 0.99 ? carts(behind) : checkout(behind);
}

const visits = { list, detail, search, carts, day };

export function visit() {
  visits[__ENV.WHAT](late());
}

export function handleSummary(data) {
  const count = (name) => (data.metrics[name] ? data.metrics[name].values.count : 0);
  const times = data.metrics.took ? data.metrics.took.values : {};
  const told = {
    requests: count('served'), seconds: Number(__ENV.SECONDS), errors: count('wrong'), dropped: count('dropped_iterations'),
    p50: times['p(50)'], p90: times['p(90)'], p99: times['p(99)'], p999: times['p(99.9)'],
  };
  return { stdout: `\nTOLD ${JSON.stringify(told)}\n` };
}
