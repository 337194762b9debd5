// Talks to the service that the page came from, and says errors in words. The key stays in this module's memory.

let key = null;

export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

export function useKey(value) {
  key = value;
}

// Addresses are relative to the page, because the service may have a prefix.
export async function ask(path, { body, type, signal } = {}) {
  const headers = {};
  if (key) headers["x-api-key"] = key;
  if (type) headers["content-type"] = type;
  let reply;
  try {
    reply = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal, credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The service does not answer. Check the connection, and try again.");
  }
  const document = await reply.json().catch(() => null);
  if (reply.ok && document === null) throw new Refused(reply.status, "The answer of the service was cut off. Try again.");
  if (reply.ok) return document;
  throw new Refused(reply.status, words(reply, document ?? {}));
}

function words(reply, document) {
  const detail = typeof document.detail === "string" ? ` It says: ${document.detail}.` : "";
  const seconds = Number(reply.headers.get("retry-after"));
  const when = seconds ? `in ${seconds === 1 ? "a second" : `${seconds} seconds`}` : "in a moment";
  switch (reply.status) {
    case 401:
      return "The service needs an API key, or does not know this one. Type a key above.";
    case 413:
      return `This picture is too large for the service. Use a smaller one.${detail}`;
    case 415:
      return "The service does not read this kind of file. Use a PNG or JPEG picture.";
    case 429:
      return `The service is busy: too many images wait for the model. Try again ${when}.`;
    case 503:
      return document.error_type === "not_ready"
        ? "No model serves yet. Try again in a moment."
        : `The service cannot answer now. Try again ${when}.${detail}`;
    default:
      return reply.status < 500
        ? `The service refused this input.${detail}`
        : `The service failed (${reply.status}). Its log has the request ${document.request_id ?? ""}.`;
  }
}
