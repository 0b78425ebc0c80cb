// What the browser-side clients need around them to be held against a server: a network that breaks on
// demand, and the strict reading of what comes through it.

import { parseJsonEventStream, readUIMessageStream, uiMessageChunkSchema } from 'ai';

/** Every chunk of an event stream, as the client's own schema reads it. Throws on the first it refuses. */
export async function strictChunks(body) {
  const chunks = [];
  const stream = parseJsonEventStream({ stream: body, schema: uiMessageChunkSchema });
  for await (const chunk of stream) {
    if (!chunk.success) throw chunk.error;
    chunks.push(chunk.value);
  }
  return chunks;
}

/** The message as a page shows it at the end, and what the client took for an error on the way. */
export async function messageOf(chunks, message = undefined) {
  const errors = [];
  const stream = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(structuredClone(chunk));
      controller.close();
    },
  });
  let last;
  for await (const shown of readUIMessageStream({ message, stream, onError: (error) => errors.push(error.message) })) {
    last = structuredClone(shown);
  }
  return { message: last ?? null, errors };
}

/**
 * A `fetch` that breaks its n-th stream after `cuts[n]` bytes, now with an error and now as if it had come
 * to its end, and that tries again while nobody listens. `asked` is told of each request that is answered.
 */
export function breakingFetch(cuts, asked) {
  const left = [...cuts];
  return async (url, init = {}) => {
    const response = await patientFetch(url, init);
    asked({ method: init.method ?? 'GET', url: String(url), status: response.status });
    const streams = (response.headers.get('content-type') ?? '').startsWith('text/event-stream');
    if (!streams || !response.body || left.length === 0) return response;
    const { status, headers } = response;
    return new Response(cut(response.body, left.shift(), left.length % 2 === 0), { status, headers });
  };
}

function cut(body, bytes, withError) {
  const reader = body.getReader();
  let remaining = bytes;
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      if (value.length < remaining) {
        remaining -= value.length;
        return controller.enqueue(value);
      }
      if (remaining > 0) controller.enqueue(value.slice(0, remaining));
      await reader.cancel();
      if (withError) controller.error(new Error('the connection broke'));
      else controller.close();
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** A server that is being started again is not there for a moment. */
async function patientFetch(url, init) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await fetch(url, init);
    } catch (error) {
      if (init.signal?.aborted || tries >= 400) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
