# Starting the worker: what its configuration may be, what it listens on, and
# keys that change while it runs.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use IO::Socket::UNIX;
use Ticket::Http qw(http);
use Ticket::MariaDB;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_performance(1, 'hall', 300_000, 'A-1');
my $worker = Ticket::Worker->prepare(dir => temp_dir(), db => $db);
my $good = slurp($worker->{conf});
my $trial = temp_dir() . '/trial.conf';

# Exit status of -t on a configuration, and what it says without the name.
sub check {
    Ticket::MariaDB::write_secret($trial, @_);
    my ($status, $said) = $worker->check($trial);
    $said =~ s/\Q$trial\E/FILE/g;
    return ($status, $said);
}

sub refused {
    my ($text, $said, $name) = @_;
    my ($status, $got) = check($text);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $status, 1, "refused: $name";
    like $got, $said, '... saying why';
    return;
}

subtest 'configuration' => sub {
    is_deeply [check($good)], [0, "FILE: the configuration is good\n"], 'a good one';
    is((check("# comment\n\n; comment\n  queue=10\n$good"))[0], 0, 'comments, empty lines, spaces');
    my $n = () = $good =~ /\n/g;
    refused "${good}queues = 1\n", qr/FILE:@{[$n + 1]}: unknown key \\"queues\\"/, 'an unknown key';
    refused "queue = 1\n\nqueue = 2\n$good", qr/FILE:3: queue appears twice/, 'a key twice';
    refused "queue = $_\n$good", qr/FILE:1: queue is a number, 1 to 65536/, "queue = $_"
        for '0', '65537', '-1', '1x', 'x', '0x10', '99999999999999999999';
    refused "db_connections = 65\n$good", qr/1 to 64/, 'too many connections';
    refused "batch = $_\n$good", qr/FILE:1: batch is a number, 1 to 64/, "batch = $_" for 0, 65;
    refused "batch_connections = $_\n$good", qr/FILE:1: batch_connections is a number, 1 to 16/,
        "batch_connections = $_" for 0, 17;
    refused "refresh_s = $_\n$good", qr/FILE:1: refresh_s is a number, 1 to 3600/, "refresh_s = $_" for 0, 3601;
    refused "listeners = $_\n$good", qr/FILE:1: listeners is a number, 1 to 65536/, "listeners = $_" for 0, 65537;
    refused "listeners = 100\nconnections = 100\n$good", qr/FILE: listeners = 100 must be less than connections = 100/,
        'listeners for every connection';
    refused "connections = 5000\n$good", qr/listeners = 5000 must be less than/, 'or for more, by what is not said';
    is((check("listeners = 99\nconnections = 100\n$good"))[0], 0, 'one left for others');
    refused "listen_mode = 0888\n$good", qr/FILE:1: listen_mode is an octal mode/, 'a mode';
    refused "log_level = debug\n$good", qr/error, warn or info/, 'a level';
    refused "queue =\n$good", qr/FILE:1: queue has no value/, 'no value';
    refused "\nqueue 10\n$good", qr/FILE:2: a line is \\"key = value\\"/, 'no line of that form';
    refused "[worker]\n$good", qr/FILE:1: the only section of this file is \[redis\]/, 'a section';
    refused 'db_host = ' . 'h' x 300 . "\n$good", qr/FILE:1: the line is longer/, 'an endless line';
    refused "db_host = x\n$good", qr/either db_socket or db_host/, 'two places of the database';
    my $redis = "${good}[redis]\nsocket = /redis.sock\n";
    is((check($redis))[0], 0, 'a section [redis]');
    is((check("${good}[redis]\nhost = redis\nport = 1\ndb = 15\nrecount_s = 1\n"))[0], 0, 'or with a host');
    refused "${good}[redis]\n", qr/FILE:@{[$n + 1]}: \[redis\]: give either socket or host/, 'an empty one';
    refused "${redis}host = x\n", qr/FILE:@{[$n + 1]}: \[redis\]: give either socket or host/, 'two places of Redis';
    refused "${redis}user = x\n", qr/FILE:@{[$n + 1]}: \[redis\]: user is of use only with/, 'a user without password';
    refused "${good}[redis]\nsocket = $_\n", qr/FILE:@{[$n + 2]}: socket is a unix socket's path/, "socket = $_"
        for 'redis.sock', '/' . 'x' x 110;
    refused "${redis}port = 0\n", qr/FILE:@{[$n + 3]}: port is a number, 1 to 65535/, 'a port';
    refused "${redis}db = -1\n", qr/FILE:@{[$n + 3]}: db is a number, 0 to 65535/, 'a database';
    refused "${redis}recount_s = 0\n", qr/FILE:@{[$n + 3]}: recount_s is a number, 1 to 3600/, 'a time';
    refused "${redis}queue = 1\n", qr/FILE:@{[$n + 3]}: unknown key \\"queue\\" in \[redis\]/, 'a key of elsewhere';
    refused "${good}db = 1\n", qr/FILE:@{[$n + 1]}: unknown key \\"db\\"/, 'a key of [redis] outside';
    refused "${redis}socket = /x\n", qr/FILE:@{[$n + 3]}: socket appears twice/, 'a key twice';
    refused "${redis}password_file = /nowhere\n", qr{/nowhere: No such file}, 'no password file';
    for my $key (qw(listen token_keys db_name db_user)) {
        (my $text = $good) =~ s/^$key = .*\n//m;
        refused $text, qr/FILE: $key is missing/, "$key missing";
    }
    for my $listen ('unix:relative', 'unix:/' . 'x' x 110, 'nowhere') {
        (my $text = $good) =~ s/^listen = .*$/listen = $listen/m;
        refused $text, qr/FILE: listen/, "listen = $listen";
    }
    (my $text = $good) =~ s/^db_password_file = .*$/db_password_file = \/nowhere/m;
    refused $text, qr{/nowhere: No such file}, 'no password file';
    chmod 0644, $db->password_file;
    refused $good, qr/everybody may read it/, 'a password file for everybody';
    chmod 0600, $db->password_file;
    ($text = $good) =~ s/^token_keys = .*$/token_keys = \/nowhere/m;
    refused $text, qr{/nowhere: No such file}, 'no keys';
    like [$worker->check('/nowhere')]->[1], qr{/nowhere: No such file}, 'no configuration';
    is((run($worker->{binary}, '-x'))[0], 2, 'an unknown option');
    unlike join('', map { (check($_))[1] } $good, "x = 1\n$good"), qr/\Q$db->{password}\E/, 'no password is shown';
};

# Starts a worker that must give up; returns what it says.
sub gives_up {
    my ($name, %config) = @_;
    my $other = Ticket::Worker->prepare(dir => temp_dir(), db => $db, name => $name, config => \%config);
    my ($status, undef, $err) = run($other->{binary}, '-c', $other->{conf});
    is $status, 1, 'gives up';
    return $err;
}

subtest 'the unix socket' => sub {
    $worker->start;
    my $path = substr $worker->target, 5;
    is sprintf('%o', (stat $path)[2] & 0777), '660', 'has its mode';
    like gives_up('second', listen => $worker->target), qr/another process listens there/, 'a second worker';
    is http($worker->target, GET => '/healthz')->{status}, 200, 'the first is not disturbed';
    $worker->kill9;
    ok -e $path, 'a killed worker leaves its socket behind';
    $worker->start;
    is http($worker->target, GET => '/healthz')->{status}, 200, 'which the next replaces';
    Ticket::MariaDB::write_secret(temp_dir() . '/precious', 'x');
    like gives_up('third', listen => 'unix:' . temp_dir() . '/precious'), qr/a file that is no socket/, 'a file';
    is slurp(temp_dir() . '/precious'), 'x', 'which stays as it is';
};

subtest 'TCP' => sub {
    my $free = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!\n";
    my $port = $free->sockport;
    like gives_up('taken', listen => "127.0.0.1:$port"), qr/Address already in use/, 'a port in use';
    close $free;
    my $tcp = Ticket::Worker->new(dir => temp_dir(), db => $db, name => 'tcp',
                                  config => {listen => "127.0.0.1:$port", listen_mode => '0600'});
    is http($tcp->target, GET => '/healthz')->{status}, 200, 'answers';
    like gives_up('name', listen => 'localhost:1'), qr/cannot listen on localhost:1/, 'a name is no address';
};

subtest 'the database is away at the start' => sub {
    my $early = Ticket::Worker->new(dir => temp_dir(), db => $db, name => 'early',
                                    config => {db_socket => '/nowhere.sock'});
    is http($early->target, GET => '/healthz')->{status}, 503, 'it starts all the same, and says so';
    my $answer = http($early->target, $early->hold(1, 'A-1'));
    is "$answer->{status} $answer->{json}{code}", '503 unavailable', 'no hold is made';
    ok $answer->{headers}{'retry-after'}, '... and it is told when to ask again';
    is $early->ask(1, GET => '/v1/performances/1/seats')->{status}, 503, 'of seats it knows nothing';
};

subtest 'SIGHUP' => sub {
    my $seats = sub { $worker->ask(1, GET => '/v1/performances/1/seats')->{status} };
    is $seats->(), 200, 'a pass by the present key';
    my $path = $worker->{conf} =~ s/conf$/keys/r;
    my ($old, $new) = ($worker->{secret}, 'cd' x 32);
    $worker->write_keys($path, "2 $new\n1 $old\n");
    kill 'HUP', $worker->pid;
    my $by_new = sub {
        my %by = (secret => $new, key_id => 2);
        return http($worker->target, GET => '/v1/performances/1/seats', {$worker->headers(%by)})->{status};
    };
    eventually { $by_new->() == 200 } 5, 'one by a new key, once it is read';
    is $seats->(), 200, 'the old one is still good';
    $worker->write_keys($path, "2 broken\n");
    kill 'HUP', $worker->pid;
    eventually { slurp($worker->{log}) =~ /stay as they were/ } 5, 'a broken file is refused';
    is $by_new->(), 200, 'and changes nothing';
    $worker->write_keys($path, "2 $new\n");
    kill 'HUP', $worker->pid;
    eventually { $seats->() == 403 } 5, 'a key that is taken out is good no more';
};

done_testing;
