// SPDX-License-Identifier: Apache-2.0

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Method;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.RpcServer;
import com.rabbitmq.client.ShutdownSignalException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * What Java programs and Spring AMQP read from what the broker says.
 *
 * <ul>
 *   <li>closes: what ends a channel, as Spring tells cases apart: `closed CODE CLASS METHOD TEXT`
 *       for a passive declare of an absent queue, an unequal queue, an unequal exchange, a consumer
 *       beside an exclusive one, a publish to an absent exchange; `closed 200` for our own close;
 *       `refused` for a wrong password
 *   <li>notices: `version TEXT`; `cancelled TAG` when a queue is deleted under its consumer;
 *       `info MESSAGES CONSUMERS` of a passive declare; `confirmed BOOLEAN`
 *   <li>rpc: `reply-to MESSAGES CONSUMERS` of the passive declare by which Spring finds direct
 *       reply-to; `answer TEXT` by RpcServer over it
 *   <li>blocked: publishes ten messages while the disk is full: `blocked REASON`, `unblocked`,
 *       `confirmed N`
 * </ul>
 */
final class Notices {
  private static final int ANSWER_MS = 20_000;

  private Notices() {}

  private interface Action {
    void run(Channel channel) throws Exception;
  }

  private static void sayClosed(Connection connection, Action action) throws Exception {
    Channel channel = connection.createChannel();
    BlockingQueue<ShutdownSignalException> causes = new LinkedBlockingQueue<>();
    channel.addShutdownListener(causes::add);
    try {
      action.run(channel);
    } catch (java.io.IOException expected) {
      // The listener says why.
    }
    Method reason = causes.take().getReason();
    AMQP.Channel.Close close = (AMQP.Channel.Close) reason;
    Client.say("closed", close.getReplyCode(), close.getClassId(), close.getMethodId(),
        close.getReplyText());
  }

  static void closes() throws Exception {
    Connection connection = Client.factory().newConnection();
    String queue = Client.name + ".q";
    String exchange = Client.name + ".x";
    Channel channel = connection.createChannel();
    Client.declare(channel, exchange, "direct", queue, "", null);
    channel.basicConsume(queue, false, "", false, true, null, new DefaultConsumer(channel));
    sayClosed(connection, it -> it.queueDeclarePassive(Client.name + ".absent"));
    sayClosed(connection, it -> it.queueDeclare(queue, false, false, false, null));
    sayClosed(connection, it -> it.exchangeDeclare(exchange, "topic", true));
    sayClosed(connection, it -> it.basicConsume(queue, new DefaultConsumer(it)));
    sayClosed(connection,
        it -> it.basicPublish(Client.name + ".absent", "", null, Client.bytes("x")));
    sayClosed(connection, Channel::close);
    connection.close();
    ConnectionFactory wrong = Client.factory();
    wrong.setPassword("wrong");
    try {
      wrong.newConnection();
    } catch (AuthenticationFailureException refused) {
      Client.say("refused");
    }
  }

  static void notices() throws Exception {
    Connection connection = Client.factory().newConnection();
    Client.say("version", connection.getServerProperties().get("version"));
    Channel channel = connection.createChannel();
    String queue = Client.name + ".q";
    channel.queueDeclare(queue, true, false, false, null);
    BlockingQueue<String> cancelled = new LinkedBlockingQueue<>();
    channel.basicQos(1);
    channel.basicConsume(queue, false, "tag", new DefaultConsumer(channel) {
      @Override
      public void handleCancel(String tag) {
        cancelled.add(tag);
      }
    });
    channel.confirmSelect();
    for (int number = 0; number < 4; ++number) {
      channel.basicPublish("", queue, null, Client.bytes(number));
    }
    Client.say("confirmed", channel.waitForConfirms(Client.CONFIRM_MS));
    AMQP.Queue.DeclareOk info = channel.queueDeclarePassive(queue);
    Client.say("info", info.getMessageCount(), info.getConsumerCount());
    connection.createChannel().queueDelete(queue);
    Client.say("cancelled", cancelled.take());
    connection.close();
  }

  static void rpc() throws Exception {
    Connection connection = Client.factory().newConnection();
    Channel serving = connection.createChannel();
    String queue = serving.queueDeclare(Client.name + ".q", true, false, false, null).getQueue();
    RpcServer server = new RpcServer(serving, queue) {
      @Override
      public byte[] handleCall(byte[] request, AMQP.BasicProperties properties) {
        return Client.bytes("answer to " + Client.text(request));
      }
    };
    Thread thread = new Thread(() -> {
      try {
        server.mainloop();
      } catch (Exception gone) {
        System.err.println("server: " + gone);
      }
    });
    thread.setDaemon(true);
    thread.start();

    String replies = "amq.rabbitmq.reply-to";
    Channel calling = connection.createChannel();
    AMQP.Queue.DeclareOk probe = calling.queueDeclarePassive(replies);
    Client.say("reply-to", probe.getMessageCount(), probe.getConsumerCount());
    RpcClient caller = new RpcClient(calling, "", queue, replies, ANSWER_MS);
    Client.say(caller.stringCall("one"));
    Client.say(caller.stringCall("two"));
    connection.close();
  }

  static void blocked() throws Exception {
    Connection connection = Client.factory().newConnection();
    connection.addBlockedListener(
        reason -> Client.say("blocked", reason), () -> Client.say("unblocked"));
    Channel channel = connection.createChannel();
    Client.declare(channel, Client.name + ".x", "direct", Client.name + ".q", "work", null);
    Client.publishNumbers(channel, 10);
    connection.close();
  }
}
