-- ask: remembers that the caller asks the holder to hand the lock over, unless somebody else asks already.
if not held or mine or (ask and ask.user ~= caller) then return unchanged('status') end

outcome, announced = ask and 'asked again' or 'asked', not ask
ask = { fence = record.fence, user = caller, name = ARGV[3] }
ask['until'] = now + ASK_MEMORY

