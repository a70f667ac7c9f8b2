// SPDX-License-Identifier: Apache-2.0

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.MessageProperties;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;

/** The Java client. The scenarios of ../README.md, those of Outage and those of Notices. */
final class Client {
  static final long CONFIRM_MS = 30_000;
  static String name;
  private static int port;

  private Client() {}

  static synchronized void say(Object... words) {
    System.out.println(
        Arrays.stream(words).map(String::valueOf).collect(Collectors.joining(" ")));
    System.out.flush();
  }

  static ConnectionFactory factory() {
    ConnectionFactory factory = new ConnectionFactory();
    factory.setHost("127.0.0.1");
    factory.setPort(port);
    factory.setNetworkRecoveryInterval(100);
    return factory;
  }

  static byte[] bytes(Object words) {
    return String.valueOf(words).getBytes(StandardCharsets.UTF_8);
  }

  static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** A consumer whose deliveries wait to be taken. */
  static final class Hand extends DefaultConsumer {
    final BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();

    Hand(Channel channel) {
      super(channel);
    }

    @Override
    public void handleDelivery(
        String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
      deliveries.add(new Delivery(envelope, properties, body));
    }

    Delivery take() throws InterruptedException {
      return deliveries.take();
    }
  }

  static void declare(
      Channel channel, String exchange, String type, String queue, String key,
      Map<String, Object> arguments) throws Exception {
    channel.exchangeDeclare(exchange, type, true);
    channel.queueDeclare(queue, true, false, false, arguments);
    channel.queueBind(queue, exchange, key);
  }

  static void publishNumbers(Channel channel, int count) throws Exception {
    channel.confirmSelect();
    for (int number = 0; number < count; ++number) {
      channel.basicPublish(
          name + ".x", "work", MessageProperties.PERSISTENT_BASIC, bytes(number));
    }
    channel.waitForConfirmsOrDie(CONFIRM_MS);
    for (int number = 0; number < count; ++number) {
      say("confirmed", number);
    }
  }

  private static void got(Delivery delivery) {
    say("got", text(delivery.getBody()), delivery.getEnvelope().isRedeliver() ? 1 : 0);
  }

  private static void work() throws Exception {
    Connection connection = factory().newConnection();
    Channel channel = connection.createChannel();
    declare(channel, name + ".x", "direct", name + ".q", "work", null);
    publishNumbers(channel, 100);
    channel.addReturnListener(
        (code, text, exchange, key, properties, body) -> say("returned", code, text));
    channel.basicPublish(
        name + ".x", "nowhere", true, MessageProperties.PERSISTENT_BASIC, bytes("lost"));
    channel.waitForConfirmsOrDie(CONFIRM_MS);

    channel.basicQos(10);
    Hand hand = new Hand(channel);
    String tag = channel.basicConsume(name + ".q", false, hand);
    List<Delivery> held = new ArrayList<>();
    while (held.size() < 10) {
      held.add(hand.take());
    }
    say("held", held.size(), channel.messageCount(name + ".q"));
    channel.basicReject(held.get(0).getEnvelope().getDeliveryTag(), true);
    channel.basicAck(held.get(9).getEnvelope().getDeliveryTag(), true);
    held.subList(1, 10).forEach(Client::got);
    for (int acked = 9; acked < 100; ++acked) {
      Delivery delivery = hand.take();
      got(delivery);
      channel.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
    }
    channel.basicCancel(tag);
    AMQP.Queue.DeclareOk left = channel.queueDeclarePassive(name + ".q");
    say("left", left.getMessageCount(), left.getConsumerCount());
    connection.close();
  }

  private static void deadLetter() throws Exception {
    Connection connection = factory().newConnection();
    Channel channel = connection.createChannel();
    declare(channel, name + ".dlx", "fanout", name + ".dead", "", null);
    declare(channel, name + ".x", "direct", name + ".q", "work",
        Collections.singletonMap("x-dead-letter-exchange", name + ".dlx"));
    publishNumbers(channel, 10);
    Hand hand = new Hand(channel);
    channel.basicConsume(name + ".q", false, hand);
    for (int settled = 0; settled < 10; ++settled) {
      Delivery delivery = hand.take();
      long tag = delivery.getEnvelope().getDeliveryTag();
      if (Integer.parseInt(text(delivery.getBody())) % 2 == 0) {
        channel.basicAck(tag, false);
      } else {
        channel.basicNack(tag, false, false);
      }
    }
    Hand dead = new Hand(channel);
    channel.basicConsume(name + ".dead", false, dead);
    for (int died = 0; died < 5; ++died) {
      Delivery delivery = dead.take();
      List<?> deaths = (List<?>) delivery.getProperties().getHeaders().get("x-death");
      Map<?, ?> death = (Map<?, ?>) deaths.get(0);
      say("dead", text(delivery.getBody()), death.get("reason"), death.get("queue"),
          (Long) death.get("count"), death.get("exchange"),
          ((List<?>) death.get("routing-keys")).get(0));
      channel.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
    }
    say("left", channel.messageCount(name + ".q"));
    connection.close();
  }

  private static void run(String scenario) throws Exception {
    switch (scenario) {
      case "work": work(); break;
      case "dead-letter": deadLetter(); break;
      case "recover": new Outage().run(); break;
      case "stop": Outage.stop(); break;
      case "closes": Notices.closes(); break;
      case "notices": Notices.notices(); break;
      case "rpc": Notices.rpc(); break;
      case "blocked": Notices.blocked(); break;
      default: throw new IllegalArgumentException(scenario);
    }
  }

  public static void main(String[] arguments) {
    port = Integer.parseInt(arguments[1]);
    name = arguments[2];
    try {
      run(arguments[0]);
    } catch (Exception error) {
      error.printStackTrace();
      System.exit(1);
    }
    System.exit(0);
  }
}
