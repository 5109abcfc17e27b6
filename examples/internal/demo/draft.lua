-- Writes to a draft, unless it was saved under a newer lock since. KEYS[1]: the draft's hash. ARGV: the
-- fence of the writer's lock, then the text to save; without a text, what is saved is published.
-- It decides where it writes: a look beforehand could be overtaken by another save.
local fence, text = ARGV[1], ARGV[2]
local saved = redis.call('HMGET', KEYS[1], 'text', 'fence')
if tonumber(fence) < tonumber(saved[2] or 0) then return {} end
if text then
  redis.call('HSET', KEYS[1], 'text', text, 'fence', fence)
else
  text, fence = saved[1] or '', saved[2] or '0'
  redis.call('HSET', KEYS[1], 'published', text)
end
return {text, fence}
