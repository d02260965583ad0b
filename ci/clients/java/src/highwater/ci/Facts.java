package highwater.ci;

import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** How a Java check program speaks: {@code ok - fact} or {@code not ok - fact}, as ci/lib/checks.sh does. */
final class Facts {
    static final Duration LIMIT = Duration.ofSeconds(60);

    private static final Duration LOOK_AGAIN = Duration.ofMillis(20);

    private int passed;
    private int failed;

    /** What a fact rests on; it fails by throwing. */
    interface Body {
        void run() throws Exception;
    }

    void check(String fact, Body body) {
        try {
            body.run();
            passed++;
            System.out.println("ok - " + fact);
        } catch (Throwable error) {
            failed++;
            Throwable cause = cause(error);
            System.out.println("not ok - " + fact + " (" + cause.getClass().getSimpleName() + ")");
            System.out.println("    " + cause.getMessage());
            for (StackTraceElement frame : cause.getStackTrace()) {
                if (frame.getClassName().startsWith("highwater.")) {
                    System.out.println("    at " + frame);
                }
            }
        }
        System.out.flush();
    }

    /** Ends the process. A program that checked nothing has failed. */
    void finish() {
        if (passed + failed == 0) {
            System.out.println("not ok - checked nothing");
        }
        System.out.flush();
        Runtime.getRuntime().halt(failed == 0 && passed > 0 ? 0 : 1);
    }

    static void same(String what, Object expected, Object actual) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected " + brief(expected) + ", got " + brief(actual));
        }
    }

    static void holds(String what, boolean condition) {
        if (!condition) {
            throw new AssertionError("it does not hold: " + what);
        }
    }

    /** The action must fail with this error, or one below it in the tree of classes. */
    static <E extends Throwable> E refused(Class<E> kind, Body action) {
        try {
            action.run();
        } catch (Throwable error) {
            Throwable cause = cause(error);
            if (kind.isInstance(cause)) {
                return kind.cast(cause);
            }
            throw new AssertionError("expected " + kind.getSimpleName() + ", got " + cause, cause);
        }
        throw new AssertionError("no " + kind.getSimpleName());
    }

    /** The first answer that is neither null nor false; for what can only be observed from outside. */
    static <T> T await(String what, Duration limit, Callable<T> question) throws Exception {
        long deadline = System.nanoTime() + limit.toNanos();
        while (true) {
            T answer = question.call();
            if (answer != null && !Boolean.FALSE.equals(answer)) {
                return answer;
            }
            if (System.nanoTime() - deadline > 0) {
                throw new AssertionError("waited in vain: " + what);
            }
            Thread.sleep(LOOK_AGAIN.toMillis());
        }
    }

    /** The value of a future, within the limit; its error, if it has one, unwrapped. */
    static <T> T get(Future<T> future) throws Exception {
        try {
            return future.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            Throwable cause = cause(error);
            throw cause instanceof Exception exception ? exception : error;
        }
    }

    static Throwable cause(Throwable error) {
        boolean wrapper = error instanceof ExecutionException || error instanceof CompletionException;
        return wrapper && error.getCause() != null ? cause(error.getCause()) : error;
    }

    /** A name that no earlier run on the same broker used. */
    static String fresh(String name) {
        return name + "-" + System.currentTimeMillis() % 10_000_000_000L + "-"
                + ThreadLocalRandom.current().nextInt(100_000);
    }

    private static String brief(Object value) {
        String text = String.valueOf(value);
        return text.length() > 400 ? text.substring(0, 400) + "..." : text;
    }
}
