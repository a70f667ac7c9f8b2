// SPDX-License-Identifier: Apache-2.0

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AlreadyClosedException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.Recoverable;
import com.rabbitmq.client.RecoveryListener;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * The recover scenario with the client's own recovery of connection, channels, topology and
 * consumers; and a stop of the broker, which it recovers from as well, server-named queue included:
 * `ready`, then `recovered`, `got BODY`.
 */
final class Outage {
  private final BlockingQueue<Runnable> events = new LinkedBlockingQueue<>();
  private final Set<Integer> got = ConcurrentHashMap.newKeySet();
  private final TreeSet<Integer> unconfirmed = new TreeSet<>();
  private final TreeSet<Long> tags = new TreeSet<>();
  private final Map<Long, Integer> numbers = new HashMap<>();
  private final Object link = new Object();
  private boolean up = true; // guarded by link
  private int next = 0;
  private int total = -1;
  private Channel channel;

  void run() throws Exception {
    Connection connection = Client.factory().newConnection();
    connection.addShutdownListener(cause -> {
      synchronized (link) {
        up = false;
      }
      if (!cause.isInitiatedByApplication()) {
        Client.say("lost");
        events.add(this::forget);
      }
    });
    ((Recoverable) connection).addRecoveryListener(new RecoveryListener() {
      @Override
      public void handleRecovery(Recoverable recoverable) {
        Client.say("recovered");
        events.add(Outage.this::startAgain);
      }

      @Override
      public void handleRecoveryStarted(Recoverable recoverable) {}
    });
    consume(connection.createChannel());
    channel = connection.createChannel();
    channel.confirmSelect();
    channel.addConfirmListener(
        (tag, multiple) -> events.add(() -> confirm(tag, multiple)),
        (tag, multiple) -> events.add(() -> { throw new IllegalStateException("nacked"); }));
    while (!(unconfirmed.isEmpty() && got.size() == total)) {
      while (unconfirmed.size() < 50 && next != total) {
        unconfirmed.add(next);
        send(next++);
      }
      events.take().run();
    }
    Client.say("done", total);
    connection.close();
  }

  private void consume(Channel consuming) throws IOException {
    consuming.exchangeDeclare(Client.name + ".x", "fanout", true);
    for (String queue : new String[] {Client.name + ".kept", Client.name + ".worked"}) {
      consuming.queueDeclare(queue, true, false, false, null);
      consuming.queueBind(queue, Client.name + ".x", "");
    }
    consuming.basicQos(20);
    consuming.basicConsume(Client.name + ".worked", false, new DefaultConsumer(consuming) {
      @Override
      public void handleDelivery(
          String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
        String number = Client.text(body);
        Client.say("got", number, envelope.isRedeliver() ? 1 : 0);
        got.add(Integer.parseInt(number));
        events.add(() -> {});
        try {
          consuming.basicAck(envelope.getDeliveryTag(), false);
        } catch (IOException | AlreadyClosedException gone) {
          System.err.println("ack: " + gone);
        }
      }
    });
  }

  private void send(int number) {
    synchronized (link) {
      if (!up) {
        return;
      }
      try {
        long tag = channel.getNextPublishSeqNo();
        numbers.put(tag, number);
        tags.add(tag);
        channel.basicPublish(Client.name + ".x", "", MessageProperties.PERSISTENT_BASIC,
            Client.bytes(number));
      } catch (IOException | AlreadyClosedException gone) {
        System.err.println("publish: " + gone);
      }
    }
  }

  private void confirm(long last, boolean multiple) {
    while (!tags.isEmpty() && tags.first() <= last) {
      long tag = multiple ? tags.first() : last;
      if (!tags.remove(tag)) {
        return;
      }
      int number = numbers.remove(tag);
      unconfirmed.remove(number);
      Client.say("confirmed", number);
    }
  }

  private void forget() {
    numbers.clear();
    tags.clear();
  }

  private void startAgain() {
    synchronized (link) {
      up = true;
    }
    total = next + 50;
    for (int number : unconfirmed) {
      send(number);
    }
  }

  static void stop() throws Exception {
    Connection connection = Client.factory().newConnection();
    BlockingQueue<String> told = new LinkedBlockingQueue<>();
    ((Recoverable) connection).addRecoveryListener(new RecoveryListener() {
      @Override
      public void handleRecovery(Recoverable recoverable) {
        told.add("recovered");
      }

      @Override
      public void handleRecoveryStarted(Recoverable recoverable) {}
    });
    Channel channel = connection.createChannel();
    channel.exchangeDeclare(Client.name + ".x", "direct", true);
    String queue = channel.queueDeclare().getQueue();
    channel.queueBind(queue, Client.name + ".x", "work");
    Client.Hand hand = new Client.Hand(channel);
    channel.basicConsume(queue, true, hand);
    Client.say("ready");
    Client.say(told.take());
    channel.basicPublish(Client.name + ".x", "work", null, Client.bytes("after"));
    Client.say("got", Client.text(hand.take().getBody()));
    connection.close();
  }
}
