// Sends one body again and again, with one connection per virtual user, and prints the figures as JSON.
import http from 'k6/http';

const body = open(__ENV.BODY, 'b');
const parameters = { headers: { 'Content-Type': __ENV.CONTENT_TYPE }, timeout: '60s' };

export const options = {
  scenarios: {
    load: {
      executor: 'constant-vus',
      vus: Number(__ENV.CONNECTIONS),
      duration: `${__ENV.SECONDS}s`,
      gracefulStop: '60s',
    },
  },
  discardResponseBodies: true,
  summaryTrendStats: ['p(50)', 'p(99)', 'max'],
};

export default function () {
  http.post(__ENV.URL, body, parameters);
}

export function handleSummary(data) {
  const { http_reqs: all, http_req_failed: failed } = data.metrics;
  const answered = all.values.count - failed.values.passes;
  const times = (data.metrics['http_req_duration{expected_response:true}'] || data.metrics.http_req_duration).values;
  return {
    stdout: JSON.stringify({
      answered,
      failed: failed.values.passes,
      requests_per_second: answered / (data.state.testRunDurationMs / 1000),
      p50_ms: times['p(50)'],
      p99_ms: times['p(99)'],
      max_ms: times.max,
    }),
  };
}
