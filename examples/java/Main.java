import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** An HTTP workload in Java: one source file that `java` runs as it is, the JDK only. */
public class Main {
    /** How long open requests may take once the end was asked for. */
    private static final int GRACE_SECONDS = 5;

    public static void main(String[] args) throws IOException {
        System.setProperty("sun.net.httpserver.nodelay", "true"); // or a small answer waits 40 ms for an ACK
        String hello = "%s from %s %s, replica %s on %s\n".formatted(
            environment("GREETING", "hello"),
            environment("MESH_APP", "java"),
            environment("MESH_VERSION", "unversioned"),
            environment("MESH_REPLICA", "alone"),
            environment("MESH_NODE", "this machine"));

        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        ExecutorService threads = Executors.newFixedThreadPool(4);
        server.setExecutor(threads);
        server.createContext("/", exchange -> {
            switch (exchange.getRequestURI().getPath()) {
                case "/health" -> answer(exchange, 200, "ok\n");
                case "/hello" -> answer(exchange, 200, hello);
                default -> answer(exchange, 404, "not found\n");
            }
        });
        // the JVM would end with 143 after SIGTERM; a workload that was asked to stop and did ends with 0
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            threads.shutdown();
            try {
                threads.awaitTermination(GRACE_SECONDS, TimeUnit.SECONDS);
            } catch (InterruptedException hurried) {
                // then at once
            }
            Runtime.getRuntime().halt(0);
        }));
        server.start();
        System.out.println("java listening on port " + server.getAddress().getPort());
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        boolean head = exchange.getRequestMethod().equals("HEAD");
        exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
        exchange.sendResponseHeaders(status, head ? -1 : body.length);
        if (!head) {
            exchange.getResponseBody().write(body);
        }
        exchange.close();
    }

    private static String environment(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }
}
