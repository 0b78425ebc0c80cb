// Reads lists of event streams from standard input, one JSON array of texts, and holds each against the
// strict schema of the client. Answers with one JSON array: {"chunks", "message", "errors"} or {"failed"}.

import { messageOf, strictChunks } from './transports.mjs';

const input = [];
for await (const piece of process.stdin) input.push(piece);
const streams = JSON.parse(Buffer.concat(input).toString('utf-8'));

const answers = [];
for (const text of streams) {
  try {
    const chunks = await strictChunks(new Response(text).body);
    answers.push({ chunks, ...(await messageOf(chunks)) });
  } catch (error) {
    answers.push({ failed: error.message });
  }
}
process.stdout.write(JSON.stringify(answers));
