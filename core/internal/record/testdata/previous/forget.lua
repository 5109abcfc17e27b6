-- forget_one drops one of the ended sessions and returns it: the oldest of the user who has most, which is the
-- caller where several have. So nobody is pushed out by a user who has more.
local function forget_one(entries)
  local count, most = {}, 0
  for _, entry in ipairs(entries) do
    local n = (count[entry.user] or 0) + 1
    count[entry.user] = n
    if n > most then most = n end
  end
  for index, entry in ipairs(entries) do
    if count[entry.user] == most and (entry.user == caller or count[caller] ~= most) then
      return table.remove(entries, index)
    end
  end
end

