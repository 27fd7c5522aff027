// compute.js TEST SIZE: one computation, whose answer is printed.
"use strict";
const test = {};

test.nbody = (n) => {
  const solar = 4 * Math.PI ** 2, days = 365.24;
  const body = (x, y, z, vx, vy, vz, mass) => ({ x, y, z, vx: vx * days, vy: vy * days, vz: vz * days, mass: mass * solar });
  const bodies = [
    body(0, 0, 0, 0, 0, 0, 1),
    body(4.8414314424647209, -1.16032004402742839, -0.103622044471123109, 0.00166007664274403694, 0.00769901118419740425, -0.0000690460016972063023, 0.000954791938424326609),
    body(8.34336671824457987, 4.12479856412430479, -0.403523417114321381, -0.00276742510726411021, 0.00499852801234917238, 0.0000230417297573763929, 0.000285885980666130812),
  ];
  for (let step = 0; step < n; step++) {
    for (let i = 0; i < bodies.length; i++) {
      const a = bodies[i];
      for (let j = i + 1; j < bodies.length; j++) {
        const b = bodies[j], x = a.x - b.x, y = a.y - b.y, z = a.z - b.z, d2 = x * x + y * y + z * z, force = 0.01 / (d2 * Math.sqrt(d2));
        a.vx -= x * b.mass * force; a.vy -= y * b.mass * force; a.vz -= z * b.mass * force;
        b.vx += x * a.mass * force; b.vy += y * a.mass * force; b.vz += z * a.mass * force;
      }
    }
    for (const a of bodies) { a.x += 0.01 * a.vx; a.y += 0.01 * a.vy; a.z += 0.01 * a.vz; }
  }
  for (const a of bodies) console.log(a.x, a.y, a.z, a.vx);
};

test.sha256 = (n) => {
  const bytes = new Uint8Array(n).map((_, i) => i * 7 + (i >> 8));
  const k = [], h = [], fraction = (x) => ((x - Math.floor(x)) * 4294967296) | 0;
  for (let candidate = 2; k.length < 64; candidate++) {
    let prime = true;
    for (let d = 2; d * d <= candidate; d++) if (candidate % d === 0) prime = false;
    if (!prime) continue;
    if (h.length < 8) h.push(fraction(Math.sqrt(candidate)));
    k.push(fraction(Math.cbrt(candidate)));
  }
  const total = Math.ceil((n + 9) / 64) * 64, m = new DataView(new ArrayBuffer(total)), w = new Int32Array(64);
  bytes.forEach((byte, i) => m.setUint8(i, byte));
  m.setUint8(n, 128);
  m.setUint32(total - 4, n * 8);
  const ror = (x, by) => (x >>> by) | (x << (32 - by));
  for (let start = 0; start < total; start += 64) {
    for (let i = 0; i < 16; i++) w[i] = m.getInt32(start + i * 4);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + (ror(x, 7) ^ ror(x, 18) ^ (x >>> 3)) + w[i - 7] + (ror(y, 17) ^ ror(y, 19) ^ (y >>> 10));
    }
    let [a, b, c, d, e, f, g, hh] = h;
    for (let i = 0; i < 64; i++) {
      const t1 = (hh + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
      const t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      hh = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, hh].forEach((value, i) => { h[i] = (h[i] + value) | 0; });
  }
  const hex = h.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  // OpenSSL's own code for this processor has to agree.
  console.log(hex, require("crypto").createHash("sha256").update(bytes).digest("hex") === hex);
  for (const name of ["md5", "sha1", "sha512", "sha3-256", "blake2b512"]) console.log(name, require("crypto").createHash(name).update(bytes).digest("hex"));
};

test.spectral = (n) => {
  const a = (i, j) => 1 / (((i + j) * (i + j + 1)) / 2 + i + 1);
  const times = (x, y, transposed) => {
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += x[j] * (transposed ? a(j, i) : a(i, j));
      y[i] = sum;
    }
  };
  const u = new Float64Array(n).fill(1), v = new Float64Array(n), t = new Float64Array(n);
  for (let i = 0; i < 10; i++) { times(u, t); times(t, v, true); times(v, t); times(t, u, true); }
  let vBv = 0, vv = 0;
  for (let i = 0; i < n; i++) { vBv += u[i] * v[i]; vv += v[i] * v[i]; }
  console.log(Math.sqrt(vBv / vv));
};

// Text, regular expressions (which V8 compiles), JSON, sorting, maps.
test.strings = (n) => {
  const words = [], seen = new Map();
  for (let i = 0; i < n; i++) {
    const word = ((i * 40503) % 65521).toString(36) + ":" + "aé".repeat(i % 7);
    words.push(word);
    seen.set(word, (seen.get(word) || 0) + 1);
  }
  words.sort();
  const text = words.join(","), changed = text.replace(/([0-9a-z]+):((?:aé)*)/g, (_, x, y) => y + [...x].reverse().join(""));
  let hash = 0;
  for (let i = 0; i < changed.length; i++) hash = (Math.imul(hash, 31) + changed.charCodeAt(i)) | 0;
  const again = JSON.parse(JSON.stringify({ words, nested: [[1.5, null, true], { text }] }));
  console.log(text.length, seen.size, hash, again.nested[1].text === text, (text.match(/(\w)\1+:/gu) || []).length, Buffer.from(text).toString("base64").length);
};

// Exceptions, garbage, closures, generators, deoptimized code, code made at run time.
test.control = (n) => {
  let caught = 0, sum = 0;
  const risky = (i) => { if (i % 3 === 0) throw new RangeError("n" + i); if (i % 1000 === 1) null.x; return i; };
  for (let i = 0; i < n; i++) try { sum += risky(i); } catch (error) { caught += error instanceof TypeError ? 7 : error.message.length; }
  const make = (depth) => (depth ? [make(depth - 1), make(depth - 1)] : []);
  const check = (tree) => (tree.length ? 1 + check(tree[0]) + check(tree[1]) : 1);
  let count = 0;
  for (let i = 0; i < 60; i++) count += check(make(12));
  const add = (x, y) => x + y;
  let mixed = 0;
  for (let i = 0; i < n; i++) mixed += add(i, i).toString().length + (i % 50000 === 49999 ? add("x", i).length + add(0.5, i) + Number(add(10n, BigInt(i))) : 0);
  for (let i = 0; i < 300; i++) sum += new Function("x", `let s = ${i}; for (let j = 0; j < 400; j++) s = (s * ${i + 3} + x) % 65537; return s;`)(i);
  function* squares() { for (let i = 0; i < 20000; i++) yield i * i; }
  for (const square of squares()) sum = (sum + square) % 1e9;
  let big = 1n;
  for (let i = 1n; i <= 900n; i++) big *= i;
  const decimals = [0.1 + 0.2, 1e21, 5e-324, Math.sin(1e6), Math.pow(2, 0.5), Math.exp(1), (1 / 3).toFixed(20), 123.456.toPrecision(30), Math.atan2(-1, -3), 255.5 % 7, -7 % 3, Math.fround(0.1), Math.hypot(3, 4, 5), 2 ** 31 | 0, Math.trunc(-1.7), Math.round(-2.5)];
  console.log(caught, sum, count, mixed, big.toString().slice(0, 30), (big % 1000003n).toString(), decimals.join(" "), Object.is(0 * -1, -0));
};

// WebAssembly: (func (param i32) (result i64)) of a loop, in a module of our own, and a trap.
test.wasm = (n) => {
  const loop = [1, 2, 0x7e, 1, 0x7f, 0x02, 0x40, 0x03, 0x40, 0x20, 2 + 1, 0x20, 0, 0x4e, 0x0d, 1, 0x20, 1, 0x42, 0xad, 0xfe, 0xd5, 0xe4, 0xd4, 0x85, 0xfd, 0xa8, 0xd8, 0, 0x7e,
    0x42, 1, 0x7c, 0x20, 3, 0xac, 0x85, 0x21, 1, 0x20, 3, 0x41, 1, 0x6a, 0x21, 3, 0x0c, 0, 0x0b, 0x0b, 0x20, 1, 0x0b];
  const body = [2, 2, 0x7e, 1, 0x7f, ...loop.slice(5)], divide = [0, 0x20, 0, 0x20, 1, 0x6d, 0x0b];
  const section = (id, ...bytes) => [id, bytes.length, ...bytes];
  const module = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section(1, 2, 0x60, 1, 0x7f, 1, 0x7e, 0x60, 2, 0x7f, 0x7f, 1, 0x7f),
    ...section(3, 2, 0, 1), ...section(7, 2, 1, 0x66, 0, 0, 1, 0x67, 0, 1), ...section(10, 2, body.length, ...body, divide.length, ...divide)]);
  const { f, g } = new WebAssembly.Instance(new WebAssembly.Module(module)).exports;
  let result = 0n;
  for (let i = 0; i < 5; i++) result ^= f(n + i);
  const traps = [];
  for (const [x, y] of [[7, 2], [1, 0], [-2147483648, -1]]) try { traps.push(g(x, y)); } catch (error) { traps.push(error.message); }
  console.log(result.toString(16), traps.join(", "));
};

// Threads that count together in shared memory, each with code and garbage of its own.
test.threads = (n) => {
  const { Worker } = require("worker_threads"), shared = new Int32Array(new SharedArrayBuffer(64));
  const code = `const { workerData: { shared, n, number }, parentPort } = require("worker_threads");
    let h = number;
    for (let i = 0; i < n; i++) { Atomics.add(shared, 0, i & 3); h = (Math.imul(h, 31) + [i, number].join().length) | 0; }
    Atomics.add(shared, 1, 1); Atomics.notify(shared, 1); parentPort.postMessage(h);`;
  const answers = [];
  for (let number = 0; number < 4; number++) new Worker(code, { eval: true, workerData: { shared, n, number } })
    .on("message", (h) => { answers.push(h); if (answers.length === 4) console.log(shared[0], shared[1], answers.sort().join()); });
};

test[process.argv[2]](Number(process.argv[3]));
