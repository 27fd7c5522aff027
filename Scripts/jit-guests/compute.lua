-- compute.lua TEST SIZE: one computation, whose answer is printed.
local bit, ffi = require("bit"), require("ffi")
local test = {}

function test.nbody(n)
  local solar, days = 4 * math.pi ^ 2, 365.24
  local bodies = {
    {0, 0, 0, 0, 0, 0, solar},
    {4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01, 1.66007664274403694e-03 * days,
      7.69901118419740425e-03 * days, -6.90460016972063023e-05 * days, 9.54791938424326609e-04 * solar},
    {8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01, -2.76742510726411021e-03 * days,
      4.99852801234917238e-03 * days, 2.30417297573763929e-05 * days, 2.85885980666130812e-04 * solar},
  }
  for step = 1, n do
    for i = 1, #bodies do
      local a = bodies[i]
      for j = i + 1, #bodies do
        local b = bodies[j]
        local x, y, z = a[1] - b[1], a[2] - b[2], a[3] - b[3]
        local d2 = x * x + y * y + z * z
        local force = 0.01 / (d2 * math.sqrt(d2))
        a[4], a[5], a[6] = a[4] - x * b[7] * force, a[5] - y * b[7] * force, a[6] - z * b[7] * force
        b[4], b[5], b[6] = b[4] + x * a[7] * force, b[5] + y * a[7] * force, b[6] + z * a[7] * force
      end
    end
    for _, a in ipairs(bodies) do
      a[1], a[2], a[3] = a[1] + 0.01 * a[4], a[2] + 0.01 * a[5], a[3] + 0.01 * a[6]
    end
  end
  for _, a in ipairs(bodies) do print(string.format("%.17g %.17g %.17g", a[1], a[2], a[3])) end
end

function test.fannkuch(n)
  local p, q, s, sign, most, sum = {}, {}, {}, 1, 0, 0
  for i = 1, n do p[i], q[i], s[i] = i, i, i end
  while true do
    local q0 = p[1]
    if q0 ~= 1 then
      for i = 2, n do q[i] = p[i] end
      local flips = 1
      while true do
        local qq = q[q0]
        if qq == 1 then
          sum = sum + sign * flips
          if flips > most then most = flips end
          break
        end
        q[q0] = q0
        if q0 >= 4 then
          local i, j = 2, q0 - 1
          repeat q[i], q[j] = q[j], q[i]; i = i + 1; j = j - 1 until i >= j
        end
        q0 = qq
        flips = flips + 1
      end
    end
    if sign == 1 then
      p[1], p[2] = p[2], p[1]
      sign = -1
    else
      p[2], p[3] = p[3], p[2]
      sign = 1
      for i = 3, n do
        local sx = s[i]
        if sx ~= 1 then s[i] = sx - 1; break end
        if i == n then print(sum, most); return end
        s[i] = i
        local t = p[1]
        for j = 1, i do p[j] = p[j + 1] end
        p[i + 1] = t
      end
    end
  end
end

function test.spectral(n)
  local function a(i, j) local ij = i + j - 1; return 1.0 / (ij * (ij - 1) * 0.5 + i) end
  local function times(x, y, transposed)
    for i = 1, n do
      local sum = 0
      for j = 1, n do sum = sum + x[j] * (transposed and a(j, i) or a(i, j)) end
      y[i] = sum
    end
  end
  local u, v, t = {}, {}, {}
  for i = 1, n do u[i] = 1 end
  for _ = 1, 10 do times(u, t); times(t, v, true); times(v, t); times(t, u, true) end
  local vBv, vv = 0, 0
  for i = 1, n do vBv = vBv + u[i] * v[i]; vv = vv + v[i] * v[i] end
  print(string.format("%0.15f", math.sqrt(vBv / vv)))
end

function test.sha256(n)
  local k, primes, candidate = ffi.new("int32_t[64]"), 0, 2
  local h = {}
  while primes < 64 do
    local prime = true
    for d = 2, math.floor(math.sqrt(candidate)) do if candidate % d == 0 then prime = false; break end end
    if prime then
      local function fraction(x) return bit.tobit(math.floor((x - math.floor(x)) * 4294967296)) end
      if primes < 8 then h[primes + 1] = fraction(math.sqrt(candidate)) end
      k[primes] = fraction(candidate ^ (1 / 3))
      primes = primes + 1
    end
    candidate = candidate + 1
  end
  local w, m = ffi.new("int32_t[64]"), ffi.new("uint8_t[?]", n + 128)
  for i = 0, n - 1 do m[i] = bit.band(i * 7 + bit.rshift(i, 8), 255) end
  m[n] = 128
  local total = math.floor((n + 9 + 63) / 64) * 64
  for i = 0, 3 do m[total - 1 - i] = bit.band(bit.rshift(n * 8, 8 * i), 255) end
  local ror, xor, band, bnot, rshift = bit.ror, bit.bxor, bit.band, bit.bnot, bit.rshift
  for start = 0, total - 64, 64 do
    for i = 0, 15 do
      local at = start + i * 4
      w[i] = bit.bor(bit.lshift(m[at], 24), bit.lshift(m[at + 1], 16), bit.lshift(m[at + 2], 8), m[at + 3])
    end
    for i = 16, 63 do
      local x, y = w[i - 15], w[i - 2]
      w[i] = w[i - 16] + xor(ror(x, 7), ror(x, 18), rshift(x, 3)) + w[i - 7] + xor(ror(y, 17), ror(y, 19), rshift(y, 10))
    end
    local a, b, c, d, e, f, g, hh = unpack(h)
    for i = 0, 63 do
      local t1 = bit.tobit(hh + xor(ror(e, 6), ror(e, 11), ror(e, 25)) + xor(band(e, f), band(bnot(e), g)) + k[i] + w[i])
      local t2 = xor(ror(a, 2), ror(a, 13), ror(a, 22)) + xor(band(a, b), band(a, c), band(b, c))
      hh, g, f, e, d, c, b, a = g, f, e, bit.tobit(d + t1), c, b, a, bit.tobit(t1 + t2)
    end
    for i, value in ipairs({a, b, c, d, e, f, g, hh}) do h[i] = bit.tobit(h[i] + value) end
  end
  for i = 1, 8 do io.write(bit.tohex(h[i])) end
  print()
end

function test.strings(n)
  local words, seen = {}, {}
  for i = 1, n do
    local word = string.format("%x:%s", i * 2654435761 % 65521, ("ab"):rep(i % 7))
    words[#words + 1] = word
    seen[word] = (seen[word] or 0) + 1
  end
  table.sort(words)
  local text, distinct = table.concat(words, ","), 0
  for _ in pairs(seen) do distinct = distinct + 1 end
  local changed, count = text:gsub("(%x+):(a?b?)", function(x, y) return y .. x:reverse() end)
  local hash = 0
  for i = 1, #changed, 3 do hash = bit.tobit(hash * 31 + changed:byte(i)) end
  print(#text, distinct, count, bit.tohex(hash))
end

function test.trees(n)
  local function make(depth) if depth == 0 then return {} end return {make(depth - 1), make(depth - 1)} end
  local function check(tree) return tree[1] and 1 + check(tree[1]) + check(tree[2]) or 1 end
  local long, sum = make(n), 0
  for depth = 4, n, 2 do
    local count = 0
    for _ = 1, 2 ^ (n - depth + 4) do count = count + check(make(depth)) end
    print(depth, count)
  end
  print(check(long), collectgarbage("count") > 0)
end

-- Errors, coroutines, numbers as text, and C calling back into Lua.
function test.control(n)
  ffi.cdef("void qsort(void *base, size_t count, size_t size, int (*compare)(const double *, const double *));")
  local caught, sum = 0, 0
  for i = 1, n do
    local ok, why = pcall(function() if i % 3 == 0 then error({code = i}) end return i end)
    if ok then sum = sum + why else caught = caught + why.code end
  end
  local generator = coroutine.wrap(function() for i = 1, n do coroutine.yield(i / 7) end end)
  for _ = 1, n do sum = sum + generator() end
  local numbers = ffi.new("double[?]", 3000)
  for i = 0, 2999 do numbers[i] = math.sin(i) * 1e6 end
  local compare = ffi.cast("int (*)(const double *, const double *)", function(a, b) return a[0] < b[0] and -1 or a[0] > b[0] and 1 or 0 end)
  ffi.C.qsort(numbers, 3000, 8, compare)
  compare:free()
  for i = 1, 2999 do assert(numbers[i - 1] <= numbers[i]) end
  local big = 1LL
  for i = 1, n do big = big * 6364136223846793005LL + 1442695040888963407LL end
  print(caught, string.format("%.17g", sum), numbers[0], numbers[2999], big, 2 ^ 0.5, 1 / 3, -1 / 0, tostring(1e300 * 1e10))
end

test[arg[1]](tonumber(arg[2]))
