//! What runs on a node: one of the models, stepped as such.

use cutover_model::application::{ConsumerApplication, ProducerApplication};
use cutover_model::client::{CorgiConsumer, CorgiProducer, KafkaConsumer, KafkaProducer};
use cutover_model::incident::DiskLoss;
use cutover_model::machine::{Effects, Input, Machine, Now};
use cutover_model::{corgi, deployment, kafka, mirror, operator, redis, switch};
use serde::Serialize;

macro_rules! processes {
    ($($(#[$doc:meta])* $name:ident($machine:ty),)*) => {
        /// A process of the world. Each model is boxed: a node is moved about less than it is stepped.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        pub enum Process {
            $($(#[$doc])* $name(Box<$machine>),)*
        }

        impl Machine for Process {
            fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
                match self {
                    $(Process::$name(machine) => machine.step(now, input, effects),)*
                }
            }

            fn crash(&mut self) {
                match self {
                    $(Process::$name(machine) => machine.crash(),)*
                }
            }

            fn lose(&mut self, now: Now, loss: DiskLoss) {
                match self {
                    $(Process::$name(machine) => machine.lose(now, loss),)*
                }
            }
        }
    };
}

processes! {
    /// A broker of Corgi, master or slave.
    CorgiBroker(corgi::broker::Broker),
    /// Corgi's name service.
    NameService(corgi::name_service::NameService),
    /// The people who fail Corgi over.
    OnCall(corgi::on_call::OnCall),
    /// Kafka's controller.
    KafkaController(kafka::controller::Controller),
    /// A broker of Kafka.
    KafkaBroker(kafka::broker::Broker),
    /// The switch centre.
    SwitchCentre(switch::centre::SwitchCentre),
    /// The deployment.
    Deployment(deployment::rolling::Rolling),
    /// The operator.
    Operator(operator::Operator),
    /// A worker of the mirror.
    Mirror(mirror::worker::Worker<CorgiConsumer, KafkaProducer>),
    /// A producer application.
    Producer(ProducerApplication<CorgiProducer, KafkaProducer>),
    /// A consumer application.
    Consumer(ConsumerApplication<CorgiConsumer, KafkaConsumer>),
    /// A worker of the reverse mirror.
    ReverseMirror(mirror::worker::Worker<KafkaConsumer, CorgiProducer>),
    /// Redis.
    Redis(redis::server::Redis),
}
