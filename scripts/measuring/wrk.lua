-- What wrk sends, by the environment, and what it reports, in one line of JSON.
--
--   PATHS   GET of a path out of this file, each as likely as any other
--   READ    GET of a user below this path, with any id from 1 to USERS
--   UPDATE  PATCH of such a user's name, below this path
--   CREATE  POST of a new user to this path, with as many spaces around it as PADDING says
--   KEYED   an Idempotency-Key with each POST
--   MIX     of several, how many of a hundred requests are which, such as "READ 75 UPDATE 25"
--   WALK    PATHS or READ in order, the first one being this number (from 0), and round again after the last

local read, update, create = os.getenv("READ"), os.getenv("UPDATE"), os.getenv("CREATE")
local paths, users, walked = {}, tonumber(os.getenv("USERS")), tonumber(os.getenv("WALK"))
local keyed = os.getenv("KEYED")
local seed, made, padding = os.getenv("SEED"), 0, string.rep(" ", tonumber(os.getenv("PADDING") or 0))
-- Headers of a POST and of a PATCH; and what the next request is drawn from.
local post, patch, hundred

local function pick(most)
    if not walked then
        return math.random(most)
    end
    walked = walked + 1
    return walked % most + 1
end

local send = {}

function send.PATHS()
    return wrk.format("GET", paths[pick(#paths)])
end

function send.READ()
    return wrk.format("GET", read .. "/" .. pick(users))
end

function send.UPDATE()
    made = made + 1
    local name = '{"name":"Grace Hopper the ' .. made .. 'th"}'
    return wrk.format("PATCH", update .. "/" .. math.random(users), patch, name)
end

function send.CREATE()
    made = made + 1
    local user = '{"name":"Grace Hopper","email":"' .. seed .. "-" .. made .. '@example.com"}' .. padding
    if keyed then
        post["Idempotency-Key"] = seed .. "-" .. made
    end
    return wrk.format("POST", create, post, user)
end

-- A hundred requests, as MIX has them, or all of the only kind there is.
local function deal(mix)
    local hundred = {}
    for name, count in mix:gmatch("(%u+) (%d+)") do
        for _ = 1, count do
            hundred[#hundred + 1] = assert(send[name], name)
        end
    end
    assert(#hundred == 100, mix)
    return hundred
end

local function the_only_kind()
    for _, name in ipairs({ "CREATE", "PATHS", "READ", "UPDATE" }) do
        if os.getenv(name) then
            return name .. " 100"
        end
    end
    error("nothing to send")
end

local function with_type(media_type)
    local headers = { ["Content-Type"] = media_type }
    for name, value in pairs(wrk.headers) do
        headers[name] = value
    end
    return headers
end

function init()
    math.randomseed(os.time())
    if os.getenv("PATHS") then
        for path in io.lines(os.getenv("PATHS")) do
            paths[#paths + 1] = path
        end
    end
    post, patch = with_type("application/json"), with_type("application/merge-patch+json")
    hundred = deal(os.getenv("MIX") or the_only_kind())
    if walked then
        -- wrk makes the first request only to look at it, and the second to send it.
        walked = walked - 2
    end
end

function request()
    return hundred[math.random(100)]()
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '\n{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}',
        summary.requests, summary.duration, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
