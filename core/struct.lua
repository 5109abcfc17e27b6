-- The part of Redis's library struct that the scripts use, where a server's Lua has none (core/embedded):
-- d a double with its low byte first, here only 0 or a whole number above it; B a byte; s a string and the zero
-- that ends it.
local struct = rawget(_G, 'struct') or {
  pack = function(format, ...)
    local values, bytes = { ... }, {}
    for kind in string.gmatch(format, '[dBs]') do
      local v = table.remove(values, 1)
      if kind == 'B' then
        bytes[#bytes + 1] = string.char(v)
      elseif kind == 's' then
        bytes[#bytes + 1] = v .. '\0'
      else
        local fraction, exponent = math.frexp(v)
        if v > 0 then fraction, exponent = (fraction * 2 - 1) * 2 ^ 52, exponent + 1022 end
        for _ = 1, 6 do
          bytes[#bytes + 1] = string.char(fraction % 256)
          fraction = math.floor(fraction / 256)
        end
        bytes[#bytes + 1] = string.char(fraction + exponent % 16 * 16, math.floor(exponent / 16))
      end
    end
    return table.concat(bytes)
  end,
  unpack = function(format, text, at)
    local values = {}
    at = at or 1
    for kind in string.gmatch(format, '[dBs]') do
      if kind == 's' then
        local zero = string.find(text, '\0', at, true) or error('unfinished string in data')
        values[#values + 1], at = string.sub(text, at, zero - 1), zero + 1
      elseif #text - at + 1 < (kind == 'd' and 8 or 1) then
        error('data string too short')
      elseif kind == 'B' then
        values[#values + 1], at = string.byte(text, at), at + 1
      else
        local fraction = 0
        for i = at + 5, at, -1 do fraction = fraction * 2 ^ 8 + string.byte(text, i) end
        local low, high = string.byte(text, at + 6, at + 7)
        fraction = fraction + low % 16 * 2 ^ 48
        local exponent = high % 128 * 16 + math.floor(low / 16)
        local v = exponent == 0 and 0 or (1 + fraction / 2 ^ 52) * 2 ^ (exponent - 1023)
        values[#values + 1], at = high < 128 and v or -v, at + 8
      end
    end
    values[#values + 1] = at
    return unpack(values)
  end,
}
