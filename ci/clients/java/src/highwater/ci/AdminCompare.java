package highwater.ci;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/**
 * The same admin calls to two brokers, the answers compared field by field.
 *
 * <pre>AdminCompare OURS KAFKA KNOWN-DIFFERENCES</pre>
 *
 * One fact per call. A line of the file of known differences is {@code call :: field :: reason}; call and field are
 * regular expressions. A field that differs and is known is printed after the fact with the reason; a known difference
 * that no longer shows is a failure too, so that the list does not outlive its reasons.
 */
final class AdminCompare {
    private record Known(Pattern call, Pattern field, String reason, Set<String> seen) {}

    private final List<Known> known = new ArrayList<>();
    private final Facts facts = new Facts();

    public static void main(String[] arguments) throws Exception {
        AdminCompare program = new AdminCompare();
        program.readKnown(Path.of(arguments[2]));
        program.compare(arguments[0], arguments[1]);
        program.facts.finish();
    }

    private void readKnown(Path path) throws Exception {
        for (String line : Files.readAllLines(path)) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            String[] parts = line.split("\\s*::\\s*", 3);
            known.add(new Known(Pattern.compile(parts[0].strip()), Pattern.compile(parts[1]), parts[2].strip(),
                    new TreeSet<>()));
        }
    }

    private void compare(String ours, String kafkas) throws Exception {
        // Names must be the same on both sides: they are part of the answers.
        String tag = Facts.fresh("compare");
        ExecutorService both = Executors.newFixedThreadPool(2);
        try {
            Future<Map<String, SortedMap<String, String>>> left = both.submit(answers(ours, tag));
            Future<Map<String, SortedMap<String, String>>> right = both.submit(answers(kafkas, tag));
            Map<String, SortedMap<String, String>> our = left.get(10, TimeUnit.MINUTES);
            Map<String, SortedMap<String, String>> their = right.get(10, TimeUnit.MINUTES);
            for (String call : their.keySet()) {
                facts.check("answered as by Kafka: " + call,
                        () -> compareFields(call, our.getOrDefault(call, new TreeMap<>()), their.get(call)));
            }
        } finally {
            both.shutdownNow();
        }
        facts.check("every known difference still shows", this::allShown);
    }

    private static Callable<Map<String, SortedMap<String, String>>> answers(String address, String tag) {
        return () -> {
            try (AdminAnswers answers = new AdminAnswers(address, tag)) {
                answers.ask();
                return new LinkedHashMap<>(answers.byCall());
            }
        };
    }

    private void compareFields(String call, Map<String, String> our, Map<String, String> their) {
        Set<String> fields = new TreeSet<>(our.keySet());
        fields.addAll(their.keySet());
        List<String> differences = new ArrayList<>();
        for (String field : fields) {
            String mine = our.getOrDefault(field, "(absent)");
            String other = their.getOrDefault(field, "(absent)");
            if (mine.equals(other)) {
                continue;
            }
            String shown = field + ": ours " + mine + ", Kafka's " + other;
            Known reason = reason(call, field);
            if (reason == null) {
                differences.add(shown);
            } else {
                reason.seen.add(field);
                System.out.println("# known difference in " + call + ", " + shown + " (" + reason.reason + ")");
            }
        }
        if (!differences.isEmpty()) {
            throw new AssertionError(differences.size() + " of " + fields.size() + " fields differ\n    "
                    + String.join("\n    ", differences));
        }
        Facts.holds("there is something to compare", !fields.isEmpty());
    }

    private Known reason(String call, String field) {
        for (Known one : known) {
            if (one.call.matcher(call).matches() && one.field.matcher(field).matches()) {
                return one;
            }
        }
        return null;
    }

    private void allShown() {
        for (Known one : known) {
            Facts.holds("'" + one.call + " | " + one.field + "' shows", !one.seen.isEmpty());
        }
    }
}
