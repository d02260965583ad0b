// How a Node check program speaks: `ok - fact` or `not ok - fact`, as ci/lib/checks.sh does.

import assert from "node:assert/strict";

export const LIMIT_MS = 60_000;
const LOOK_AGAIN_MS = 20;

// Runs the checks, pairs of a fact and a function, in order against the broker of the command line.
export async function main(banner, checks) {
  const broker = process.argv[2] ?? "";
  if (process.argv.length !== 3 || !broker.includes(":")) {
    console.error(`usage: ${process.argv[1]} HOST:PORT`);
    process.exit(2);
  }
  console.log(`# ${banner}`);
  let failed = 0;
  for (const [fact, body] of checks) {
    try {
      await limited(body(broker));
      console.log(`ok - ${fact}`);
    } catch (error) {
      failed += 1;
      console.log(`not ok - ${fact} (${error.name})`);
      console.log(`    ${(error.stack ?? String(error)).slice(0, 3000).replaceAll("\n", "\n    ")}`);
    }
  }
  if (checks.length === 0) console.log("not ok - checked nothing");
  process.exit(failed === 0 && checks.length > 0 ? 0 : 1);
}

function limited(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the check did not end")), 2 * LIMIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function same(what, expected, actual) {
  assert.deepEqual(actual, expected, `${what}: expected ${brief(expected)}, got ${brief(actual)}`);
}

const brief = (value) => (JSON.stringify(value) ?? String(value)).slice(0, 300);

// The action must fail with an error of this type (Kafka's name of the error code).
export async function refused(what, type, action) {
  try {
    await action();
  } catch (error) {
    const found = error.type ?? error.groups?.[0]?.error?.type ?? error.errors?.[0]?.type ?? error.name;
    same(`${what}: error`, type, found);
    return;
  }
  throw new Error(`${what}: no error ${type}`);
}

// The first true answer; for what can only be observed from outside.
export async function until(what, question) {
  for (const deadline = Date.now() + LIMIT_MS; ; ) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resume) => setTimeout(resume, LOOK_AGAIN_MS));
  }
}

// A name that no earlier run on the same broker used.
export const fresh = (name) => `${name}-${Date.now() % 1e10}-${Math.floor(Math.random() * 1e5)}`;

// The value of a numbered record: partly compressible, of different lengths.
export const valueOf = (number) =>
  `${String(number).padStart(6, "0")} ${((number * 2654435761) >>> 0).toString(16)} ${"highwater ".repeat(number % 20)}`;
