-- The requests of wrk: GET of a random path from the file PATHS or, with CREATE, POST of a new user followed by PADDING
-- spaces. And its report, in one line of JSON.

local paths, create, seed, made = {}, os.getenv("CREATE"), os.getenv("SEED"), 0
local padding = string.rep(" ", tonumber(os.getenv("PADDING") or 0))

function init()
    math.randomseed(os.time())
    if create then
        wrk.headers["Content-Type"] = "application/json"
    else
        for path in io.lines(os.getenv("PATHS")) do
            paths[#paths + 1] = path
        end
    end
end

function request()
    if create then
        made = made + 1
        local user = '{"name":"Grace Hopper","email":"' .. seed .. "-" .. made .. '@example.com"}' .. padding
        return wrk.format("POST", create, nil, user)
    end
    return wrk.format("GET", paths[math.random(#paths)])
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '\n{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}',
        summary.requests, summary.duration, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
