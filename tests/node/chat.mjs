// One turn of a chat through one of the real transports, as told by the JSON on the command line:
//
//   {"client": "workflow" | "default", "action": "send" | "resume" | "stop", "base", "chatId", "sessionId",
//    "messages", "headers", "cuts", "byRunId", "tell"}
//
// Answers with one line of JSON: {"chunks", "message", "errors", "requests", "runId", "end"}. With `tell`
// every chunk is told as it comes, on a line of its own that begins with a plus.

import { WorkflowChatTransport } from '@workflow/ai';
import { DefaultChatTransport } from 'ai';
import { breakingFetch, messageOf } from './transports.mjs';

const wanted = JSON.parse(process.argv[2]);
const { base, chatId, sessionId, messages = [], headers = {}, cuts = [] } = wanted;
const requests = [];
const fetch_ = breakingFetch(cuts, (request) => requests.push(request));
const end = {};

// What the clients say on the way belongs to nobody's answer.
console.error = console.warn = () => {};

function workflow() {
  return new WorkflowChatTransport({
    api: `${base}/api/chat`,
    fetch: fetch_,
    maxConsecutiveErrors: 10,
    onChatSendMessage: (response) => {
      end.runId = response.headers.get('x-workflow-run-id');
    },
    onChatEnd: ({ chunkIndex }) => {
      end.chunkIndex = chunkIndex;
    },
    // Without content type, as the transport sends it: text/plain.
    prepareSendMessagesRequest: ({ id, messages: sent }) => ({
      headers,
      body: { messages: sent, chatId: id, sessionId },
    }),
    prepareReconnectToStreamRequest: ({ id, api }) => ({
      headers,
      api: wanted.byRunId ? api : `${base}/api/chat/${id}/stream`,
    }),
  });
}

function plain() {
  return new DefaultChatTransport({
    api: `${base}/api/chat`,
    fetch: fetch_,
    headers,
    prepareSendMessagesRequest: ({ id, messages: sent }) => ({
      headers,
      body: { messages: sent, chatId: id, sessionId },
    }),
    prepareReconnectToStreamRequest: ({ id }) => ({ headers, api: `${base}/api/chat/${id}/stream` }),
  });
}

async function run() {
  const transport = wanted.client === 'default' ? plain() : workflow();
  const stream =
    wanted.action === 'resume'
      ? await transport.reconnectToStream({ chatId })
      : await transport.sendMessages({ chatId, messages, trigger: 'submit-message', messageId: undefined });
  if (stream === null) return { chunks: null };
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    if (wanted.tell) console.log(`+${chunk.type}`);
    if (wanted.action === 'stop' && chunk.type === 'text-delta' && end.stop === undefined) {
      end.stop = fetch_(`${base}/api/chat/${chatId}/stop`, { method: 'POST', headers }).then((it) => it.json());
    }
  }
  end.stop = await end.stop;
  return { chunks, ...(await messageOf(chunks)) };
}

try {
  console.log(JSON.stringify({ ...(await run()), requests, end }));
} catch (error) {
  console.log(JSON.stringify({ failed: error.message, requests, end }));
}
process.exit(0);
