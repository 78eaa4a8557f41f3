import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.temporal.ChronoField;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;
import org.apache.flink.util.CloseableIterator;

/**
 * Runs scripts on a Flink cluster inside this process. Arguments: mode, seconds that a statement may take, then pairs of a
 * script and a file for its result. The file gets a line "ok" and the final rows of the last query as JSON arrays, or a
 * line "error" and what was wrong. A watermark follows each row, so that it is certain which rows are late.
 */
public class Oracle {
  static final Pattern SET = Pattern.compile("(?is)SET\\s+'?([\\w.\\-]+)'?\\s*=\\s*'?(.*?)'?\\s*");
  static final Pattern STATEMENT_SET =
      Pattern.compile("(?is)(?:BEGIN\\s+STATEMENT\\s+SET|EXECUTE\\s+STATEMENT\\s+SET\\s+BEGIN).*");
  static boolean batch;
  static long patienceSeconds;
  static Configuration cluster;

  public static void main(String[] arguments) throws Exception {
    batch = arguments[0].equals("batch");
    patienceSeconds = Long.parseLong(arguments[1]);
    Configuration configuration = new Configuration();
    for (String address : List.of("rest.address", "rest.bind-address", "jobmanager.rpc.address", "jobmanager.bind-host",
        "taskmanager.host", "taskmanager.bind-host")) {
      configuration.setString(address, "127.0.0.1");
    }
    configuration.setString("rest.bind-port", "0");
    configuration.setString("taskmanager.memory.managed.size", "384m");
    configuration.setString("taskmanager.memory.network.min", "96m");
    configuration.setString("taskmanager.memory.network.max", "96m");
    MiniCluster mini = new MiniCluster(new MiniClusterConfiguration.Builder().setConfiguration(configuration)
        .setNumTaskManagers(1).setNumSlotsPerTaskManager(4).build());
    mini.start();
    cluster = new Configuration();
    cluster.setString("execution.target", "remote");
    cluster.setString("rest.address", "127.0.0.1");
    cluster.setString("rest.port", "" + mini.getRestAddress().get().getPort());
    cluster.setString("parallelism.default", "1");
    cluster.setString("pipeline.auto-watermark-interval", "0 ms");
    cluster.setString("table.local-time-zone", "UTC");
    cluster.setString("restart-strategy.type", "none");
    for (int i = 2; i + 1 < arguments.length; i += 2) {
      String result;
      try {
        result = "ok\n" + run(Files.readString(Path.of(arguments[i])));
      } catch (Throwable error) {
        Throwable root = error;
        while (root.getCause() != null && root.getCause() != root) {
          root = root.getCause();
        }
        result = "error\n" + root + "\n";
      }
      Files.writeString(Path.of(arguments[i + 1]), result);
      System.out.println(arguments[i]);
    }
    Runtime.getRuntime().halt(0);
  }

  /** The final rows of the last query. */
  static String run(String script) throws Exception {
    List<String> statements = split(script);
    boolean isBatch = batch;
    for (String statement : statements) {
      Matcher set = SET.matcher(statement);
      if (set.matches() && set.group(1).equals("execution.runtime-mode")) {
        isBatch = set.group(2).equalsIgnoreCase("batch");
      }
    }
    EnvironmentSettings.Builder settings = EnvironmentSettings.newInstance().withConfiguration(new Configuration(cluster));
    TableEnvironment env = TableEnvironment.create((isBatch ? settings.inBatchMode() : settings.inStreamingMode()).build());
    String rows = "";
    for (String statement : statements) {
      Matcher set = SET.matcher(statement);
      String head = statement.split("[\\s(]", 2)[0].toUpperCase(Locale.ROOT);
      if (set.matches()) {
        if (!set.group(1).equals("execution.runtime-mode")) {
          env.getConfig().set(set.group(1), set.group(2));
        }
      } else if (head.equals("SELECT") || head.equals("WITH") || head.equals("VALUES") || head.equals("TABLE")
          || statement.startsWith("(")) {
        rows = materialised(env.executeSql(statement));
      } else if (!head.equals("SET") && !head.equals("RESET")) {
        TableResult result = env.executeSql(statement);
        if (result.getJobClient().isPresent()) {
          result.await(patienceSeconds, TimeUnit.SECONDS);
        }
      }
    }
    return rows;
  }

  /** The rows that are there when all changes are through, as a bag. */
  static String materialised(TableResult result) throws Exception {
    TreeMap<String, Integer> bag = new TreeMap<>();
    FutureTask<Void> collected = new FutureTask<>(() -> {
      try (CloseableIterator<Row> rows = result.collect()) {
        while (rows.hasNext()) {
          Row row = rows.next();
          boolean comes = row.getKind() == RowKind.INSERT || row.getKind() == RowKind.UPDATE_AFTER;
          bag.merge(json(row), comes ? 1 : -1, Integer::sum);
        }
      }
      return null;
    });
    Thread thread = new Thread(collected);
    thread.setDaemon(true);
    thread.start();
    try {
      collected.get(patienceSeconds, TimeUnit.SECONDS);
    } catch (TimeoutException late) {
      result.getJobClient().ifPresent(client -> client.cancel());
      throw new IllegalStateException("the query did not end within " + patienceSeconds + " s");
    } catch (ExecutionException failed) {
      throw new IllegalStateException(failed.getCause());
    }
    StringBuilder text = new StringBuilder();
    bag.forEach((row, count) -> {
      for (int i = 0; i < count; i++) {
        text.append(row).append('\n');
      }
    });
    return text.toString();
  }

  static final DateTimeFormatter TIME = new DateTimeFormatterBuilder().appendPattern("HH:mm:ss")
      .appendFraction(ChronoField.NANO_OF_SECOND, 0, 9, true).toFormatter(Locale.ROOT);
  static final DateTimeFormatter TIMESTAMP =
      new DateTimeFormatterBuilder().appendPattern("yyyy-MM-dd ").append(TIME).toFormatter(Locale.ROOT);

  /** A value as Eddyline shows it: a ROW as an array, a MAP as sorted pairs. */
  static String json(Object value) {
    if (value == null) return "null";
    if (value instanceof Double || value instanceof Float) {
      double number = ((Number) value).doubleValue();
      return Double.isNaN(number) || Double.isInfinite(number) ? quoted(value.toString()) : value.toString();
    }
    if (value instanceof BigDecimal) return quoted(((BigDecimal) value).toPlainString());
    if (value instanceof Boolean || value instanceof Number) return value.toString();
    if (value instanceof LocalDateTime) return quoted(TIMESTAMP.format((LocalDateTime) value));
    if (value instanceof Instant) {
      return quoted(TIMESTAMP.format(LocalDateTime.ofInstant((Instant) value, ZoneOffset.UTC)) + "Z");
    }
    if (value instanceof LocalTime) return quoted(TIME.format((LocalTime) value));
    if (value instanceof byte[]) {
      StringBuilder text = new StringBuilder("0x");
      for (byte digit : (byte[]) value) text.append(String.format("%02x", digit));
      return quoted(text.toString());
    }
    List<String> parts = new ArrayList<>();
    if (value instanceof Row) {
      for (int i = 0; i < ((Row) value).getArity(); i++) parts.add(json(((Row) value).getField(i)));
    } else if (value instanceof Map) {
      for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
        parts.add("[" + json(entry.getKey()) + "," + json(entry.getValue()) + "]");
      }
      Collections.sort(parts);
    } else if (value instanceof Collection) {
      for (Object part : (Collection<?>) value) parts.add(json(part));
    } else if (value.getClass().isArray()) {
      for (int i = 0; i < java.lang.reflect.Array.getLength(value); i++) {
        parts.add(json(java.lang.reflect.Array.get(value, i)));
      }
    } else {
      return quoted(value.toString());
    }
    return "[" + String.join(",", parts) + "]";
  }

  static String quoted(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char letter : text.toCharArray()) {
      if (letter == '"' || letter == '\\') quoted.append('\\').append(letter);
      else if (letter < 0x20) quoted.append(String.format("\\u%04x", (int) letter));
      else quoted.append(letter);
    }
    return quoted.append('"').toString();
  }

  /** The statements of a script without comments; hints stay, and a set of statements stays whole. */
  static List<String> split(String text) {
    List<String> statements = new ArrayList<>();
    StringBuilder statement = new StringBuilder();
    int length = text.length();
    for (int i = 0; i < length; i++) {
      char letter = text.charAt(i);
      if (letter == '\'' || letter == '`' || letter == '"') {
        int end = text.indexOf(letter, i + 1);
        end = end < 0 ? length - 1 : end;
        statement.append(text, i, end + 1);
        i = end;
      } else if (text.startsWith("--", i)) {
        int end = text.indexOf('\n', i);
        i = end < 0 ? length : end;
        statement.append(' ');
      } else if (text.startsWith("/*", i) && !text.startsWith("/*+", i)) {
        int end = text.indexOf("*/", i + 2);
        i = end < 0 ? length : end + 1;
        statement.append(' ');
      } else if (letter == ';') {
        String whole = statement.toString().trim();
        if (STATEMENT_SET.matcher(whole).matches() && !whole.toUpperCase(Locale.ROOT).endsWith("END")) {
          statement.append(';');
          continue;
        }
        add(statements, whole);
        statement.setLength(0);
      } else {
        statement.append(letter);
      }
    }
    add(statements, statement.toString().trim());
    return statements;
  }

  static void add(List<String> statements, String statement) {
    if (!statement.isEmpty()) {
      statements.add(statement.replaceFirst("(?is)^BEGIN\\s+STATEMENT\\s+SET\\s*;", "EXECUTE STATEMENT SET BEGIN "));
    }
  }
}
