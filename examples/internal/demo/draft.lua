-- A draft. KEYS[1]: its hash. ARGV: nothing, to look; the fence of the writer's lock, to publish what is saved; or that
-- fence, the revision that the writer goes on from ('' for any) and a text, to save it.
-- It decides where it writes: a look beforehand could be overtaken by another save. It returns what came of it, and the
-- draft as it is then.
local writer, base, text = ARGV[1], ARGV[2], ARGV[3]
local saved = redis.call('HMGET', KEYS[1], 'text', 'fence', 'revision')
-- Versions without revisions have stored none. Where there is a text, it was saved: 0 would match a page that has seen
-- a draft never saved.
local draft = {text = saved[1] or '', fence = saved[2] or '0', revision = saved[3] or (saved[1] and '1' or '0')}
local function answer(outcome) return {outcome, draft.text, draft.fence, draft.revision} end

if not writer then return answer('done') end
if tonumber(writer) < tonumber(draft.fence) then return answer('newer lock') end
if not text then
  redis.call('HSET', KEYS[1], 'published', draft.text)
  return answer('done')
end
if base ~= '' and tonumber(base) ~= tonumber(draft.revision) then return answer('newer revision') end
draft = {text = text, fence = writer, revision = string.format('%d', draft.revision + 1)}
redis.call('HSET', KEYS[1], 'text', draft.text, 'fence', draft.fence, 'revision', draft.revision)
return answer('done')
