import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Compute TEST SIZE: one computation, whose answer is printed. */
public class Compute {
  public static void main(String[] words) throws Exception {
    int n = Integer.parseInt(words[1]);
    switch (words[0]) {
      case "nbody" -> nbody(n);
      case "spectral" -> spectral(n);
      case "sha256" -> sha256(n);
      case "strings" -> strings(n);
      case "control" -> control(n);
      case "vectors" -> vectors(n);
      case "threads" -> threads(n);
      default -> throw new IllegalArgumentException(words[0]);
    }
  }

  static void nbody(int n) {
    double solar = 4 * Math.PI * Math.PI, days = 365.24;
    double[][] bodies = {
      {0, 0, 0, 0, 0, 0, solar},
      {4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01, 1.66007664274403694e-03 * days, 7.69901118419740425e-03 * days, -6.90460016972063023e-05 * days, 9.54791938424326609e-04 * solar},
      {8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01, -2.76742510726411021e-03 * days, 4.99852801234917238e-03 * days, 2.30417297573763929e-05 * days, 2.85885980666130812e-04 * solar},
    };
    for (int step = 0; step < n; step++) {
      for (int i = 0; i < 3; i++) {
        for (int j = i + 1; j < 3; j++) {
          double[] a = bodies[i], b = bodies[j];
          double x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2], d2 = x * x + y * y + z * z, force = 0.01 / (d2 * Math.sqrt(d2));
          a[3] -= x * b[6] * force; a[4] -= y * b[6] * force; a[5] -= z * b[6] * force;
          b[3] += x * a[6] * force; b[4] += y * a[6] * force; b[5] += z * a[6] * force;
        }
      }
      for (double[] a : bodies) for (int axis = 0; axis < 3; axis++) a[axis] += 0.01 * a[axis + 3];
    }
    System.out.println(Arrays.deepToString(bodies));
  }

  static double element(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

  static void times(double[] x, double[] y, boolean transposed) {
    for (int i = 0; i < x.length; i++) {
      double sum = 0;
      for (int j = 0; j < x.length; j++) sum += x[j] * (transposed ? element(j, i) : element(i, j));
      y[i] = sum;
    }
  }

  static void spectral(int n) {
    double[] u = new double[n], v = new double[n], t = new double[n];
    Arrays.fill(u, 1);
    for (int i = 0; i < 10; i++) { times(u, t, false); times(t, v, true); times(v, t, false); times(t, u, true); }
    double vBv = 0, vv = 0;
    for (int i = 0; i < n; i++) { vBv += u[i] * v[i]; vv += v[i] * v[i]; }
    System.out.println(Math.sqrt(vBv / vv));
  }

  static int fraction(double x) { return (int) (long) ((x - Math.floor(x)) * 4294967296.0); }

  static void sha256(int n) throws Exception {
    byte[] bytes = new byte[n];
    for (int i = 0; i < n; i++) bytes[i] = (byte) (i * 7 + (i >> 8));
    int[] k = new int[64], h = new int[8], w = new int[64];
    for (int candidate = 2, count = 0; count < 64; candidate++) {
      int number = candidate;
      if (IntStream.range(2, number).anyMatch(d -> number % d == 0)) continue;
      if (count < 8) h[count] = fraction(Math.sqrt(candidate));
      k[count++] = fraction(Math.cbrt(candidate));
    }
    byte[] m = Arrays.copyOf(bytes, (n + 9 + 63) / 64 * 64);
    m[n] = (byte) 128;
    for (int i = 0; i < 4; i++) m[m.length - 1 - i] = (byte) (n * 8 >>> 8 * i);
    for (int start = 0; start < m.length; start += 64) {
      for (int i = 0; i < 16; i++) {
        int at = start + i * 4;
        w[i] = m[at] << 24 | (m[at + 1] & 255) << 16 | (m[at + 2] & 255) << 8 | m[at + 3] & 255;
      }
      for (int i = 16; i < 64; i++) {
        int x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (Integer.rotateRight(x, 7) ^ Integer.rotateRight(x, 18) ^ x >>> 3) + w[i - 7]
          + (Integer.rotateRight(y, 17) ^ Integer.rotateRight(y, 19) ^ y >>> 10);
      }
      int[] s = h.clone();
      for (int i = 0; i < 64; i++) {
        int t1 = s[7] + (Integer.rotateRight(s[4], 6) ^ Integer.rotateRight(s[4], 11) ^ Integer.rotateRight(s[4], 25)) + (s[4] & s[5] ^ ~s[4] & s[6]) + k[i] + w[i];
        int t2 = (Integer.rotateRight(s[0], 2) ^ Integer.rotateRight(s[0], 13) ^ Integer.rotateRight(s[0], 22)) + (s[0] & s[1] ^ s[0] & s[2] ^ s[1] & s[2]);
        System.arraycopy(s, 0, s, 1, 7);
        s[4] += t1;
        s[0] = t1 + t2;
      }
      for (int i = 0; i < 8; i++) h[i] += s[i];
    }
    StringBuilder text = new StringBuilder();
    for (int word : h) text.append(String.format("%08x", word));
    // The virtual machine's own code for this processor has to agree.
    System.out.println(text + " " + hex("SHA-256", bytes).contentEquals(text));
    for (String name : List.of("MD5", "SHA-1", "SHA-512", "SHA3-256")) System.out.println(name + " " + hex(name, bytes));
  }

  static String hex(String name, byte[] bytes) throws Exception {
    byte[] digest = {};
    for (int i = 0; i < 30; i++) digest = MessageDigest.getInstance(name).digest(bytes);
    StringBuilder text = new StringBuilder();
    for (byte value : digest) text.append(String.format("%02x", value));
    return text.toString();
  }

  static void strings(int n) {
    List<String> made = new ArrayList<>();
    HashMap<String, Integer> seen = new HashMap<>();
    for (int i = 0; i < n; i++) {
      String word = Long.toString(i * 40503L % 65521, 36) + ":" + "a\u00e9".repeat(i % 7);
      made.add(word);
      seen.merge(word, 1, Integer::sum);
    }
    made.sort(null);
    String text = String.join(",", made);
    String changed = text.replaceAll("([0-9a-z]+):((?:a\u00e9)*)", "$2$1");
    System.out.println(text.length() + " " + seen.size() + " " + text.hashCode() + " " + changed.hashCode() + " " + changed.toUpperCase().indexOf("\u00c9ZZ")
      + " " + new java.math.BigInteger("7").pow(n / 10).mod(java.math.BigInteger.valueOf(1000003)));
  }

  interface Shape { double area(); }
  record Circle(double r) implements Shape { public double area() { return Math.PI * r * r; } }
  record Square(double s) implements Shape { public double area() { return s * s; } }
  record Other(double x) implements Shape { public double area() { return Math.sin(x) + Math.exp(-x) + Math.pow(x, 0.3); } }
  static final class Node { Node left, right; }

  static Node make(int depth) {
    Node node = new Node();
    if (depth > 0) { node.left = make(depth - 1); node.right = make(depth - 1); }
    return node;
  }

  static int check(Node node) { return node.left == null ? 1 : 1 + check(node.left) + check(node.right); }

  static int risky(int[] values, String text, int i, int divisor) {
    if (i % 1001 == 5) return text.length();
    if (i % 1003 == 7) return values[i];
    if (i % 1007 == 9) return i / divisor;
    return i & 15;
  }

  static int depth(int i) { return depth(i + 1) + 1; }

  /** Exceptions that the processor raises and others, garbage, calls whose targets change so that code is thrown away. */
  static void control(int n) {
    int nulls = 0, bounds = 0, divisions = 0;
    long sum = 0;
    for (int i = 0; i < n; i++) {
      try { sum += risky(new int[4], null, i, 0); }
      catch (NullPointerException error) { nulls++; }
      catch (ArrayIndexOutOfBoundsException error) { bounds++; }
      catch (ArithmeticException error) { divisions++; }
    }
    double area = 0;
    Shape[] shapes = {new Circle(1.5), new Circle(0.1), new Square(2), new Other(0.7)};
    for (int phase = 1; phase <= 4; phase++) for (int i = 0; i < n; i++) area += shapes[i % phase].area() / (i + 1);
    int count = 0;
    for (int i = 0; i < 60; i++) count += check(make(13));
    boolean overflowed = false;
    try { depth(0); } catch (StackOverflowError error) { overflowed = true; }
    System.out.println(nulls + " " + bounds + " " + divisions + " " + sum + " " + area + " " + count + " " + overflowed + " "
      + LongStream.rangeClosed(1, n).filter(x -> x % 7 == 3).map(x -> x * x % 1009).sum() + " " + (float) area + " " + Integer.MIN_VALUE / -1
      + " " + (int) Double.NaN + " " + (long) 1e30 + " " + 5.5 % -2.3 + " " + Double.toString(2e-3) + " " + String.format("%.10e", Math.cbrt(2)));
  }

  /** Loops that are compiled to vector instructions. */
  static void vectors(int n) {
    float[] a = new float[4096], b = new float[4096];
    int[] c = new int[4096];
    long[] d = new long[4096];
    byte[] e = new byte[4096];
    for (int i = 0; i < a.length; i++) { a[i] = i * 0.37f; b[i] = 1 / (i + 1f); c[i] = i * 77; d[i] = i * 1234567891L; e[i] = (byte) i; }
    for (int round = 0; round < n; round++) {
      for (int i = 0; i < a.length; i++) a[i] = a[i] * 0.999f + b[i];
      for (int i = 0; i < a.length; i++) c[i] = (c[i] << 3 ^ c[i] >>> 5) + round;
      for (int i = 0; i < a.length; i++) d[i] += d[i] ^ c[i];
      for (int i = 0; i < a.length; i++) e[i] = (byte) Math.max(e[i] + 3, -100);
    }
    double sum = 0;
    for (float value : a) sum += value;
    System.out.println(sum + " " + Arrays.hashCode(c) + " " + Arrays.hashCode(d) + " " + Arrays.hashCode(e) + " " + Arrays.stream(c).max().getAsInt()
      + " " + Arrays.mismatch(e, new byte[4096]) + " " + new String(e, java.nio.charset.StandardCharsets.ISO_8859_1).hashCode());
  }

  static int guarded;

  static void threads(int n) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    AtomicLong total = new AtomicLong();
    ConcurrentHashMap<Integer, Integer> counts = new ConcurrentHashMap<>();
    List<Future<Long>> answers = new ArrayList<>();
    for (int thread = 0; thread < 8; thread++) {
      int number = thread;
      answers.add(pool.submit(() -> {
        long h = number;
        for (int i = 0; i < n; i++) {
          total.addAndGet(i & 3);
          counts.merge(i % 97, 1, Integer::sum);
          synchronized (Compute.class) { guarded += i & 1; }
          h = h * 31 + Integer.toString(i).length();
          if (i % 5000 == 0) Thread.sleep(1);
        }
        return h;
      }));
    }
    StringBuilder text = new StringBuilder();
    for (Future<Long> answer : answers) text.append(answer.get()).append(' ');
    pool.shutdown();
    System.gc();
    System.out.println(text + "" + total + " " + guarded + " " + counts.values().stream().mapToInt(x -> x).sum());
  }
}
