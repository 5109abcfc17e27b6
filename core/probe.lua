-- What the engine's scripts call, tried once each. No step stops at a refusal.
--
-- KEYS[1]  the probe's own key, which is also the name of its channel.
-- ARGV     the command that announces: PUBLISH, or SPUBLISH on a cluster
--          a message
--
-- It replies Redis's time, and then the name and the answer of each command that was refused.
local refused = {}
local function try(name, ...)
  local reply = redis.pcall(name, ...)
  if type(reply) == 'table' and reply.err then
    refused[#refused + 1] = name
    refused[#refused + 1] = reply.err
  end
  return reply
end

local clock = try('TIME')
if type(clock) ~= 'table' or clock.err then clock = { '0', '0' } end
try('GETRANGE', KEYS[1], '0', '16384')
try('SET', KEYS[1], cjson.encode(cjson.decode('{"probe":true}')), 'PX', '1')
try('PTTL', KEYS[1])
try('GETEX', KEYS[1])
try(ARGV[1], KEYS[1], ARGV[2])
local reply = { clock[1], clock[2] }
for _, text in ipairs(refused) do reply[#reply + 1] = text end
return reply
