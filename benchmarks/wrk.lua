-- POSTs with the bodies of a file named .lines, one a line, in turn; or of one named .paths, where a path and a tab stand
-- before each; or with all bytes of any other file. The figures are one line of JSON on standard error.
function init(args)
  wrk.method = "POST"
  local paths = args[1]:match("%.paths$")
  if not paths and not args[1]:match("%.lines$") then
    wrk.body = assert(io.open(args[1], "rb")):read("*a")
    return
  end
  local requests = {}
  for body in assert(io.open(args[1], "rb")):lines() do
    local path, rest = body:match("^(%S+)\t(.*)$")
    wrk.body = paths and rest or body
    wrk.path = paths and path or wrk.path
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
