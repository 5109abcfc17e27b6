-- A Redis of one key, as far as the scripts need one, for a Lua that is none of Redis's: lua54_test.go.
--
--   lua5.4 redis.lua CALLS WHOLE
--
-- CALLS is a Lua file that returns a list of calls: { script = TEXT, keys = {}, argv = {}, now = MILLISECONDS },
-- or { set = VALUE, now = MILLISECONDS }. WHOLE is "integer" or "float": how cjson gives numbers to Lua. For each
-- call it writes what was replied, what the key then holds, for how long, and what was published, each as "LENGTH
-- BYTES" and a line's end.
local calls, whole = dofile(arg[1]), arg[2]

-- cjson, which Redis has in C: one form for an empty table, 14 digits of a number.
local cjson = {}

local escapes = { ['"'] = '\\"', ['\\'] = '\\\\', ['/'] = '\\/', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t' }
local plain = { ['"'] = '"', ['\\'] = '\\', ['/'] = '/', b = '\b', f = '\f', n = '\n', r = '\r', t = '\t' }
local null = setmetatable({}, { __name = 'null' })

function cjson.encode(value)
  if value == null then return 'null' end
  if type(value) == 'boolean' then return tostring(value) end
  if type(value) == 'number' then
    if value ~= value or math.abs(value) == math.huge then error('Cannot serialise number: must not be NaN or Inf') end
    return string.format('%.14g', value)
  end
  if type(value) == 'string' then
    return '"' .. string.gsub(value, '[%c"\\/]', function(c) return escapes[c] or string.format('\\u%04x', string.byte(c)) end) .. '"'
  end
  if type(value) ~= 'table' then error('Cannot serialise ' .. type(value)) end
  local items = {}
  if #value > 0 then
    for _, item in ipairs(value) do items[#items + 1] = cjson.encode(item) end
    return '[' .. table.concat(items, ',') .. ']'
  end
  for name, item in pairs(value) do
    if type(name) ~= 'string' then error('Cannot serialise table: a key that is no string') end
    items[#items + 1] = cjson.encode(name) .. ':' .. cjson.encode(item)
  end
  return '{' .. table.concat(items, ',') .. '}'
end

function cjson.decode(text)
  local at = 1
  local function match(pattern)
    local found = string.match(text, '^[ \t\r\n]*(' .. pattern .. ')', at)
    if found then at = select(2, string.find(text, '^[ \t\r\n]*' .. pattern, at)) + 1 end
    return found
  end
  local function expect(pattern)
    return match(pattern) or error('Expected ' .. pattern .. ' at character ' .. at)
  end
  local function quoted()
    expect('"')
    local parts = {}
    while true do
      parts[#parts + 1] = string.match(text, '^[^"\\]*', at)
      at = at + #parts[#parts]
      local c = string.sub(text, at, at)
      at = at + 1
      if c == '"' then return table.concat(parts) end
      if c == '' then error('Expected the end of a string') end
      c = string.sub(text, at, at)
      at = at + 1
      if c == 'u' then
        parts[#parts + 1] = utf8.char(tonumber(string.sub(text, at, at + 3), 16)) -- no surrogates here
        at = at + 4
      else
        parts[#parts + 1] = plain[c] or error('Expected an escape')
      end
    end
  end
  local value
  local function items(closing, item)
    if match(closing) then return end
    repeat item() until not match(',')
    expect(closing)
  end
  function value()
    if match('{') then
      local object = {}
      items('}', function()
        local name = quoted()
        expect(':')
        object[name] = value()
      end)
      return object
    end
    if match('%[') then
      local list = {}
      items('%]', function() list[#list + 1] = value() end)
      return list
    end
    if match('true') then return true end
    if match('false') then return false end
    if match('null') then return null end
    if string.find(text, '^[ \t\r\n]*"', at) then return quoted() end
    local number = tonumber(expect('%-?%d[%d.eE+-]*'))
    return whole == 'float' and number + 0.0 or math.tointeger(number) or number
  end
  local decoded = value()
  if string.find(text, '[^ \t\r\n]', at) then error('Expected the end at character ' .. at) end
  return decoded
end

-- The one key, and the clock.
local key, ends, now, published

local redis = {}

function redis.error_reply(text) return { err = text } end

local commands = {}

function commands.TIME() return { tostring(now // 1000), tostring(now % 1000 * 1000) } end

function commands.GETRANGE(_, first, last)
  assert(first == '0')
  return string.sub(key or '', 1, tonumber(last) + 1)
end

function commands.GETEX() return key or false end

function commands.PTTL() return not key and -2 or not ends and -1 or ends - now end

function commands.SET(_, text, option, milliseconds)
  milliseconds = tonumber(milliseconds)
  assert(option == 'PX' and math.type(milliseconds) == 'integer' and milliseconds > 0, 'ERR invalid expire time')
  key, ends = text, now + milliseconds
  return { ok = 'OK' }
end

function commands.PUBLISH(channel, message)
  published = published .. channel .. ' ' .. message .. ';'
  return 0
end

function redis.call(name, ...)
  local args = { ... }
  for i, argument in ipairs(args) do -- as Redis sends them
    if math.type(argument) == 'float' then args[i] = string.format('%.17g', argument) end
    args[i] = tostring(args[i])
  end
  return commands[name](table.unpack(args))
end

function redis.pcall(...)
  local done, answer = pcall(redis.call, ...)
  return done and answer or { err = answer }
end

-- What Redis offers to scripts, and no more.
local function environment(call)
  return {
    KEYS = call.keys, ARGV = call.argv, redis = redis, cjson = cjson, string = string, math = math,
    table = { insert = table.insert, remove = table.remove, concat = table.concat, sort = table.sort },
    tonumber = tonumber, tostring = tostring, type = type, pairs = pairs, ipairs = ipairs, next = next, select = select,
    pcall = pcall, assert = assert, error = error,
  }
end

for _, call in ipairs(calls) do
  now, published = call.now, ''
  if ends and ends <= now then key, ends = nil, nil end
  local answer = ''
  if call.set then
    key, ends = call.set, now + 3600000
  else
    local done
    done, answer = pcall(assert(load(call.script, '=script', 't', environment(call))))
    if not done then answer = 'error ' .. answer end
    if type(answer) == 'table' then answer = 'error ' .. answer.err end
  end
  for _, text in ipairs({ answer, key or '', tostring(ends and ends - now or -2), published }) do
    io.write(#text, ' ', text, '\n')
  end
end
