// SPDX-License-Identifier: Apache-2.0

// amqp091-go. The scenarios of ../README.md; the library does not recover, so the program connects
// again when NotifyClose tells it, as its documentation shows. And:
//
//	notify  what the broker says unasked: `closed CODE SERVER RECOVER` for channels, `cancelled`,
//	        then `ready`, and on a clean stop `stopped CODE SERVER`
//	blocked publishes ten messages while the disk is full: `blocked REASON`, `unblocked`,
//	        `confirmed N`
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	url    string
	name   string
	out    = bufio.NewWriter(os.Stdout)
	outMux sync.Mutex
)

func say(words ...interface{}) {
	outMux.Lock()
	defer outMux.Unlock()
	fmt.Fprintln(out, words...)
	out.Flush()
}

func must(err error) {
	if err != nil {
		log.Panic(err)
	}
}

func flag(set bool) int {
	if set {
		return 1
	}
	return 0
}

func open() (*amqp.Connection, *amqp.Channel, error) {
	connection, err := amqp.Dial(url)
	if err != nil {
		return nil, nil, err
	}
	channel, err := connection.Channel()
	if err == nil {
		err = channel.Confirm(false)
	}
	return connection, channel, err
}

func declare(channel *amqp.Channel, exchange, kind string, queue, key string, arguments amqp.Table) error {
	if err := channel.ExchangeDeclare(exchange, kind, true, false, false, false, nil); err != nil {
		return err
	}
	if _, err := channel.QueueDeclare(queue, true, false, false, false, arguments); err != nil {
		return err
	}
	return channel.QueueBind(queue, key, exchange, false, nil)
}

// Its DeferredConfirmation would be of no use: in version 1.5 it is lost when the confirm comes
// before the call returns.
func publish(channel *amqp.Channel, exchange, key string, number int, mandatory bool) error {
	return channel.PublishWithContext(context.Background(), exchange, key, mandatory, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(strconv.Itoa(number))})
}

func publishNumbers(channel *amqp.Channel, count int) {
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, count+1))
	for number := 0; number < count; number++ {
		must(publish(channel, name+".x", "work", number, false))
	}
	for number := 0; number < count; number++ {
		if confirm := <-confirms; !confirm.Ack || confirm.DeliveryTag != uint64(number+1) {
			log.Panic("confirmed as ", confirm)
		}
		say("confirmed", number)
	}
}

func consume(channel *amqp.Channel, queue string, prefetch int) <-chan amqp.Delivery {
	must(channel.Qos(prefetch, 0, false))
	deliveries, err := channel.Consume(queue, "tag", false, false, false, false, nil)
	must(err)
	return deliveries
}

func work() {
	connection, channel, err := open()
	must(err)
	must(declare(channel, name+".x", "direct", name+".q", "work", nil))
	publishNumbers(channel, 100)
	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	must(publish(channel, name+".x", "nowhere", 0, true))
	returned := <-returns
	say("returned", returned.ReplyCode, returned.ReplyText)

	got := func(delivery amqp.Delivery) { say("got", string(delivery.Body), flag(delivery.Redelivered)) }
	deliveries := consume(channel, name+".q", 10)
	var hands []amqp.Delivery
	for len(hands) < 10 {
		hands = append(hands, <-deliveries)
	}
	queue, err := channel.QueueInspect(name + ".q")
	must(err)
	say("held", len(hands), queue.Messages)
	must(hands[0].Reject(true))
	must(hands[9].Ack(true))
	for _, delivery := range hands[1:] {
		got(delivery)
	}
	for acked := 9; acked < 100; acked++ {
		delivery := <-deliveries
		got(delivery)
		must(delivery.Ack(false))
	}
	must(channel.Cancel("tag", false))
	queue, err = channel.QueueInspect(name + ".q")
	must(err)
	say("left", queue.Messages, queue.Consumers)
	must(connection.Close())
}

func deadLetter() {
	connection, channel, err := open()
	must(err)
	must(declare(channel, name+".dlx", "fanout", name+".dead", "", nil))
	must(declare(channel, name+".x", "direct", name+".q", "work",
		amqp.Table{"x-dead-letter-exchange": name + ".dlx"}))
	publishNumbers(channel, 10)
	deliveries := consume(channel, name+".q", 0)
	for settled := 0; settled < 10; settled++ {
		delivery := <-deliveries
		if delivery.Body[0]%2 == 0 {
			must(delivery.Ack(false))
		} else {
			must(delivery.Reject(false))
		}
	}
	must(channel.Cancel("tag", false))
	deliveries = consume(channel, name+".dead", 0)
	for died := 0; died < 5; died++ {
		delivery := <-deliveries
		death := delivery.Headers["x-death"].([]interface{})[0].(amqp.Table)
		say("dead", string(delivery.Body), death["reason"], death["queue"], death["count"].(int64),
			death["exchange"], death["routing-keys"].([]interface{})[0])
		must(delivery.Ack(false))
	}
	queue, err := channel.QueueInspect(name + ".q")
	must(err)
	say("left", queue.Messages)
	must(connection.Close())
}

// What a run with an outage knows across connections. Runs on: one goroutine.
type outage struct {
	next, total int
	unconfirmed []int
	got         map[int]bool
	recovered   bool
}

func (run *outage) finished() bool {
	return len(run.unconfirmed) == 0 && len(run.got) == run.total
}

func (run *outage) setUp(channel *amqp.Channel) error {
	for _, queue := range []string{".kept", ".worked"} {
		if err := declare(channel, name+".x", "fanout", name+queue, "", nil); err != nil {
			return err
		}
	}
	return channel.Qos(20, 0, false)
}

// Publishes on one channel until it is lost (false) or everything is done (true).
func (run *outage) serve(channel *amqp.Channel) bool {
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, 100))
	closed := channel.NotifyClose(make(chan *amqp.Error, 1))
	deliveries, err := channel.Consume(name+".worked", "tag", false, false, false, false, nil)
	if err != nil {
		return false
	}
	numbers := append([]int(nil), run.unconfirmed...) // by publish number, from 1
	for _, number := range numbers {
		publish(channel, name+".x", "", number, false)
	}
	for !run.finished() {
		for len(run.unconfirmed) < 50 && run.next != run.total {
			publish(channel, name+".x", "", run.next, false)
			numbers = append(numbers, run.next)
			run.unconfirmed = append(run.unconfirmed, run.next)
			run.next++
		}
		select {
		case confirm, more := <-confirms:
			if !more || !confirm.Ack {
				return false
			}
			run.unconfirmed = run.unconfirmed[1:] // the library reports them in order
			say("confirmed", numbers[confirm.DeliveryTag-1])
		case delivery, more := <-deliveries:
			if !more {
				return false
			}
			number, err := strconv.Atoi(string(delivery.Body))
			must(err)
			say("got", number, flag(delivery.Redelivered))
			run.got[number] = true
			delivery.Ack(false)
		case <-closed:
			return false
		}
	}
	return true
}

func recoverRun() {
	run := outage{total: -1, got: map[int]bool{}}
	for attempts := 0; ; attempts++ {
		connection, channel, err := open()
		if err == nil {
			err = run.setUp(channel)
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if run.recovered {
			say("recovered")
			run.total = run.next + 50
		}
		if run.serve(channel) {
			say("done", run.total)
			must(connection.Close())
			return
		}
		say("lost")
		run.recovered = true
		connection.Close()
	}
}

func notify() {
	connection, channel, err := open()
	must(err)
	sayClosed := func(channel *amqp.Channel, action func(*amqp.Channel)) {
		closed := channel.NotifyClose(make(chan *amqp.Error, 1))
		action(channel)
		reason := <-closed
		say("closed", reason.Code, reason.Server, reason.Recover)
	}
	another := func() *amqp.Channel {
		channel, err := connection.Channel()
		must(err)
		return channel
	}
	sayClosed(another(), func(channel *amqp.Channel) { channel.QueueInspect(name + ".absent") })
	sayClosed(another(), func(channel *amqp.Channel) { channel.Ack(77, false) })
	sayClosed(another(), func(channel *amqp.Channel) {
		publish(channel, name+".absent", "", 0, false)
	})

	_, err = channel.QueueDeclare(name+".q", true, false, false, false, nil)
	must(err)
	cancelled := channel.NotifyCancel(make(chan string, 1))
	consume(channel, name+".q", 1)
	_, err = another().QueueDelete(name+".q", false, false, false)
	must(err)
	say("cancelled", <-cancelled)

	stopped := connection.NotifyClose(make(chan *amqp.Error, 1))
	say("ready")
	reason := <-stopped
	say("stopped", reason.Code, reason.Server)
}

func blocked() {
	connection, channel, err := open()
	must(err)
	must(declare(channel, name+".x", "direct", name+".q", "work", nil))
	notices := connection.NotifyBlocked(make(chan amqp.Blocking))
	go func() {
		for notice := range notices {
			if notice.Active {
				say("blocked", notice.Reason)
			} else {
				say("unblocked")
			}
		}
	}()
	publishNumbers(channel, 10)
	must(connection.Close())
}

func main() {
	url = "amqp://guest:guest@127.0.0.1:" + os.Args[2] + "/"
	name = os.Args[3]
	scenarios := map[string]func(){
		"work": work, "dead-letter": deadLetter, "recover": recoverRun, "notify": notify,
		"blocked": blocked}
	scenarios[os.Args[1]]()
}
