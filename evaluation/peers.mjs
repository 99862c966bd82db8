// Open viseme detectors for the browser, run without one: `node peers.mjs PACKAGE KIND < list > log`.
//
// KIND is wawa (npm wawa-lipsync 0.0.2) or head (npm @met4citizen/headaudio 0.1.0), PACKAGE the unpacked package. Every
// line of standard input is "IN OUT": IN holds mono float32 at 48 kHz, OUT receives float32 rows of 15 viseme
// activations at 50 Hz (sil PP FF TH DD kk CH SS nn RR aa E I O U). What a browser would give them, an AudioContext with
// an analyser and a clock, is written here after the Web Audio specification.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const RATE = 48000, HOP = 960;
const NAMES = ["sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U"];

/** Magnitudes of a real signal's spectrum, radix 2. */
function magnitudes(signal) {
  const n = signal.length, re = Float64Array.from(signal), im = new Float64Array(n);
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j]] = [re[j], re[i]];
  }
  for (let size = 2; size <= n; size <<= 1)
    for (let k = 0; k < size / 2; k++) {
      const c = Math.cos(-2 * Math.PI * k / size), s = Math.sin(-2 * Math.PI * k / size);
      for (let a = k; a < n; a += size) {
        const b = a + size / 2, x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
        re[b] = re[a] - x; im[b] = im[a] - y; re[a] += x; im[a] += y;
      }
    }
  return Array.from({ length: n / 2 }, (_, i) => Math.hypot(re[i], im[i]) / n);
}

/** AnalyserNode: Blackman window, smoothing 0.8, -100 to -30 dB as bytes. */
class Analyser {
  constructor() { this.fftSize = 2048; this.smooth = null; this.samples = new Float32Array(0); this.place = 0; }
  get frequencyBinCount() { return this.fftSize / 2; }
  getByteFrequencyData(bytes) {
    const n = this.fftSize, block = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const x = 2 * Math.PI * i / n, at = this.place - n + i;
      block[i] = (at >= 0 ? this.samples[at] ?? 0 : 0) * (0.42 - 0.5 * Math.cos(x) + 0.08 * Math.cos(2 * x));
    }
    const now = magnitudes(block);
    this.smooth = this.smooth ? this.smooth.map((old, i) => 0.8 * old + 0.2 * now[i]) : now.map((m) => 0.2 * m);
    this.smooth.forEach((m, i) => {
      bytes[i] = Math.max(0, Math.min(255, Math.floor(255 / 70 * (20 * Math.log10(m || 1e-20) + 100))));
    });
  }
}

async function wawa(folder) {
  const analyser = new Analyser();
  let clock = 0;
  globalThis.window = { AudioContext: class { sampleRate = RATE; createAnalyser() { return analyser; } } };
  Object.defineProperty(globalThis, "performance", { value: { now: () => clock } });
  const { Lipsync } = await import(join(folder, "dist/wawa-lipsync.es.js"));
  return (samples) => {
    Object.assign(analyser, { samples, smooth: null });
    const detector = new Lipsync(), rows = [];
    for (let frame = 0; frame < Math.ceil(samples.length / HOP); frame++) {
      analyser.place = frame * HOP;
      clock = frame * 20;
      detector.processAudio();
      rows.push(NAMES.map((name) => (detector.viseme === `viseme_${name}` ? 1 : 0)));
    }
    return rows;
  };
}

async function head(folder) {
  const { Processor } = await import(join(folder, "modules/processor.mjs"));
  const { Training } = await import(join(folder, "modules/training.mjs"));
  const file = readFileSync(join(folder, "dist/model-en-mixed.bin"));
  const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
  globalThis.fetch = async () => ({ ok: true, arrayBuffer: async () => buffer });
  const { model } = await new Training().loadModel("model-en-mixed.bin");
  const order = ["aa", "E", "I", "O", "U", "PP", "SS", "TH", "DD", "FF", "kk", "nn", "RR", "CH", "sil"];
  return (samples) => {
    const heard = [];
    const port = { postMessage: (message) => heard.push(message) };
    const processor = new Processor({ sampleRate: RATE }, { port });
    processor._onmessage({ data: { event: "model", reset: true, model } });
    for (let at = 0; at < samples.length; at += 128) processor.process(samples.subarray(at, at + 128));
    // as the package's own `update`: 100 ms from one viseme to the next
    const alphas = NAMES.map(() => 0), rows = [];
    let next = 0, active = 0;
    for (let frame = 0; frame < Math.ceil(samples.length / HOP); frame++) {
      for (; next < heard.length && heard[next].t <= frame * 0.02; next++) {
        if (heard[next].event === "viseme" && heard[next].viseme !== null) active = NAMES.indexOf(order[heard[next].viseme]);
        if (heard[next].event === "ended") active = 0;
      }
      alphas.forEach((a, i) => { alphas[i] = Math.max(0, Math.min(1, a + (i === active ? 0.2 : -0.2))); });
      rows.push([...alphas]);
    }
    return rows;
  };
}

const [folder, kind] = process.argv.slice(2);
const detect = await { wawa, head }[kind](folder);
for await (const line of createInterface({ input: process.stdin })) {
  const [from, to] = line.trim().split("\t");
  const bytes = readFileSync(from);
  const samples = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  writeFileSync(to, Buffer.from(Float32Array.from(detect(samples).flat()).buffer));
}
