"""Records every setting that a broker tells of: record_settings.py HOST:PORT > ci/golden/settings.tsv

One line a setting of a new topic, of the broker and of a group that sets nothing: what it belongs to, its key, Kafka's
number of its type, whether it can only be read, whether it is secret, its value (as far as no file sets it), and the
defaults that it follows.
"""

import sys

import check_versions as wire
from check_versions import ask, create, node_id
from checks import fresh_topic

DEFAULT = 5
RESOURCES = {"topic": 2, "broker": 4, "group": 32}
# Set by the file of ci/clients/kafka, or by the cluster itself: their own values are not told.
NOT_TOLD = "<set>"


def text(value):
    return "<null>" if value is None else value


def lines(broker, kind, name):
    resource = wire.DescribeConfigsRequest.DescribeConfigsResource
    asked = resource(resource_type=RESOURCES[kind], resource_name=name, configuration_keys=None)
    [result] = ask(broker, wire.DescribeConfigsRequest, 4, resources=[asked], include_synonyms=True).results
    if result.error_code:
        sys.exit(f"DescribeConfigs of {kind} {name}: error {result.error_code} {result.error_message}")
    for setting in sorted(result.configs, key=lambda setting: setting.name):
        followed = [f"{s.name}={text(s.value)}" for s in setting.synonyms if s.source == DEFAULT]
        value = text(setting.value) if setting.config_source == DEFAULT else NOT_TOLD
        flags = [str(setting.config_type), str(setting.read_only).lower(), str(setting.is_sensitive).lower()]
        yield "\t".join([kind, setting.name, *flags, value, " ".join(followed)])


def main(broker):
    topic = fresh_topic("settings")
    create(broker, topic)
    for kind, name in [("topic", topic), ("broker", str(node_id(broker))), ("group", fresh_topic("group"))]:
        for line in lines(broker, kind, name):
            print(line)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} HOST:PORT")
    main(sys.argv[1])
