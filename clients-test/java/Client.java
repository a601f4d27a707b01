// Java's HttpClient, told nothing but a base URL: a request with a body, and an event stream as it comes.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

public class Client {
    static final HttpClient client = HttpClient.newHttpClient();

    static HttpRequest post(String path, String type, String body) {
        return HttpRequest.newBuilder(URI.create(System.getenv("BASE_URL") + path))
            .header("authorization", "Bearer " + System.getenv("API_KEY")).header("content-type", type)
            .POST(BodyPublishers.ofString(body)).build();
    }

    static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }

    public static void main(String[] args) throws Exception {
        String question = System.getenv("QUESTION");
        HttpResponse<String> echo = client.send(post("/echo", "text/plain", question), BodyHandlers.ofString());
        String body = "{\"model\":\"tiny\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":" + quoted(question) + "}]}";
        String[] events = client.send(post("/v1/chat/completions", "application/json", body), BodyHandlers.ofLines()).body()
            .filter(line -> line.startsWith("data: ")).toArray(String[]::new);
        System.out.println("{\"echo\":" + quoted(echo.body())
            + ",\"authorization\":" + quoted(echo.headers().firstValue("x-authorization").orElse(""))
            + ",\"events\":" + events.length + ",\"last\":" + quoted(events[events.length - 1]) + "}");
    }
}
