-- POSTs with the bodies of a file, one a line, in turn; and the figures as one line of JSON on standard error.
function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  local requests = {}
  for body in assert(io.open(args[1], "rb")):lines() do
    wrk.body = body
    requests[#requests + 1] = wrk.format()
  end
  if #requests == 1 then return end  -- wrk then sends the same bytes without asking
  local turn = 0
  request = function()
    turn = turn % #requests + 1
    return requests[turn]
  end
end

function done(summary, latency)
  io.stderr:write(string.format(
    '{"requests":%d,"duration_us":%d,"bytes":%d,"p50_us":%d,"p90_us":%d,"p99_us":%d,"max_us":%d,' ..
    '"errors":{"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max,
    summary.errors.status, summary.errors.connect, summary.errors.read, summary.errors.write, summary.errors.timeout))
end
