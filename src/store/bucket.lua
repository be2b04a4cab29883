-- One decision over one rate limit bucket on Redis' own clock; the rules are explained in gcra.rs, which says the same.
-- KEYS[1]  a hash: full_at, closed_until, seen, all in microseconds
-- ARGV     'take', interval in us, burst, kept idle in ms | 'close', pause in us, 0, kept idle in ms
-- returns  how many microseconds to wait; 0: granted (or closed)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local stored = redis.call('HMGET', KEYS[1], 'full_at', 'closed_until', 'seen')
local full_at = tonumber(stored[1] or '')
local closed_until = tonumber(stored[2] or '') or 0
local back = (tonumber(stored[3] or '') or 0) - now
if back > 0 then
  full_at = full_at and full_at - back
  closed_until = closed_until - back
end

local wait = 0
if ARGV[1] == 'take' then
  local interval = tonumber(ARGV[2])
  local room = interval * (tonumber(ARGV[3]) - 1)
  local full = math.min(full_at or now + room, now + room + interval)
  wait = math.max(full - room, closed_until) - now
  if wait <= 0 then
    wait = 0
    full_at = math.max(full, now) + interval
  end
else
  closed_until = math.max(closed_until, now + tonumber(ARGV[2]))
end

if wait == 0 or back > 0 then
  redis.call('HSET', KEYS[1], 'closed_until', string.format('%.0f', closed_until), 'seen', string.format('%.0f', now))
  if full_at then
    redis.call('HSET', KEYS[1], 'full_at', string.format('%.0f', full_at))
  end
  local settled = math.max(full_at or 0, closed_until, now) - now
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[4]) + math.ceil(settled / 1000)))
end
return wait
