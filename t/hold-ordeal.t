# Rules S2, S6 and S7 while the database is slow, stopped, killed, read-only,
# locked or out of connections: nobody is told anything but 201, 409 or 503,
# nothing that was acknowledged is lost, and whoever repeats an open request
# with its key learns what became of it, once and for all.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use IO::Handle;
use IO::Socket::UNIX;
use POSIX ();
use Storable ();
use Ticket::Http;
use Ticket::MariaDB;
use Ticket::Redis;
use Ticket::Worker;
use Time::HiRes qw(sleep time);

my $db = Ticket::MariaDB->new(dir => temp_dir(), private => 1);
my $redis = Ticket::Redis->new(dir => temp_dir());
$db->add_hall(id => 1, room => 'hall', ttl_ms => 3_600_000,
    sections => [{name => 'H', rows => 300, seats_per_row => 100, tier => 'any', focal => [0, 0]}],
    pools => [{name => 'floor', tier => 'standing', capacity => 30_000, buckets => 4}]);
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, redis => {socket => $redis->socket},
    config => {log_level => 'warn'});
my $crowds = 0;
my $before = 0;    # holds, before the ordeal at hand

# Visitors who want seats, named, found or standing, from 32 connections, until
# the returned code is called; it returns all that they asked and were told.
sub crowd {
    my $name = temp_dir() . '/crowd.' . ++$crowds;
    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        my $client = Ticket::Http->new($worker->target, timeout => 20);
        my ($n, @asked) = (0);
        my $end = time + 40;
        while (!-e "$name.stop" && time < $end) {
            my @round = map { wish(++$n) } 1 .. 32;
            my $told = $client->many([map { request($_) } @round], concurrency => 32);
            note_answer($round[$_], $told->[$_]) for 0 .. $#round;
            push @asked, @round;
            sleep 0.1 if grep { $_->{status} != 201 && $_->{status} != 409 } @$told;
        }
        Storable::nstore(\@asked, $name);
        POSIX::_exit(0);
    }
    return sub {
        Ticket::MariaDB::write_secret("$name.stop");
        waitpid $pid, 0;
        return Storable::retrieve($name);
    };
}

sub wish {
    my ($n) = @_;
    my $kind = $n % 3;
    return {number => $n, key => "\"$crowds-$n\"",
        body => $kind == 0 ? {seats => ['H-' . (1 + int rand 300) . '-' . (1 + int rand 100)]}
              : $kind == 1 ? {best => {quantity => 1 + int rand 3}}
                           : {pools => [{pool => 'floor', quantity => 1}]}};
}

sub request {
    my ($wish) = @_;
    return $worker->request($wish->{number}, POST => '/v1/performances/1/holds', @$wish{qw(body key)});
}

sub note_answer {
    my ($wish, $answer) = @_;
    @$wish{qw(status error hold code retry)} = ($answer->{status}, $answer->{error}, $answer->{json}{hold}, $answer->{json}{code},
        $answer->{headers}{'retry-after'});
    return;
}

# Runs the crowd while something is done to the database, and checks all of it.
sub ordeal {
    my ($what, $trouble, %may) = @_;
    subtest $what => sub {
        my $end = crowd();
        sleep 0.5;
        $trouble->();
        eventually { Ticket::Http::http($worker->target, GET => '/healthz')->{status} == 200 } 10,
            'the worker has its database again';
        sleep 0.5;
        my $asked = $end->();
        my %n;
        diag map { "$_\n" } grep { $_ } map { $_->{error} } @$asked[0 .. 200] if $ENV{TICKET_VERBOSE};
        $n{$_->{status}}++ for @$asked;
        diag join ', ', map { "$_: $n{$_}" } sort keys %n if $ENV{TICKET_VERBOSE};
        is_deeply [grep { !/^(?:201|409|503)$/ } keys %n], [], 'everybody was answered 201, 409 or 503';
        cmp_ok $n{201} // 0, '>', 50, 'holds were made';
        cmp_ok $n{503} // 0, '>', 0, 'and some could not be' if $may{fails};
        is scalar(grep { $_->{status} == 503 && !$_->{retry} } @$asked), 0, 'a 503 says when to try again';
        is scalar(grep { $_->{status} == 409 && $_->{code} !~ /^(?:seat_unavailable|no_block)$/ } @$asked), 0,
            'a 409 is about seats';

        my $client = Ticket::Http->new($worker->target);
        my @open = grep { $_->{status} == 503 } @$asked;
        my $told = $client->many([map { request($_) } @open], concurrency => 16);
        note_answer($open[$_], $told->[$_]) for 0 .. $#open;
        is_deeply [grep { $_->{status} != 201 && $_->{status} != 409 } @open], [],
            'who was left open asks once more and knows';

        my %holds = map { $_->[0] => 1 } @{$db->rows('SELECT LOWER(HEX(id)) FROM hold')};
        my @made = grep { $_->{status} == 201 } @$asked;
        is_deeply [grep { !$holds{$_->{hold}} } @made], [], 'S7: every hold that was acknowledged is there';
        my @again = map { $made[rand @made] } 1 .. 20;
        my $replayed = $client->many([map { request($_) } @again], concurrency => 1);
        is_deeply [map { $_->{json}{hold} } @$replayed], [map { $_->{hold} } @again], 'S6: and is told again';
        is $db->value("SELECT COUNT(*) FROM hold") - $before, scalar @made,
            'S6: there is no hold that nobody knows of';
        $before = $db->value('SELECT COUNT(*) FROM hold');
        is $db->broken, '', 'the invariants hold';
    };
    return;
}

ordeal 'it is killed with -9 and comes back' => sub { $db->kill9; sleep 0.3; $db->start }, fails => 1;

ordeal 'it is stopped and started' => sub { $db->Ticket::Service::stop; $db->start };

ordeal 'it stands still for two seconds' => sub {
    kill STOP => $db->pid;
    sleep 2;
    kill CONT => $db->pid;
};

# A transaction of somebody else's, that root has in a session of its own.
sub meanwhile {
    my ($sql, $seconds) = @_;
    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        eval { $db->do("$sql; DO SLEEP($seconds)") };
        POSIX::_exit($@ ? 1 : 0);
    }
    sleep $seconds + 0.5;
    waitpid $pid, 0;
    is $?, 0, 'that was done';
    return;
}

ordeal 'somebody locks a row for two seconds' => sub {
    meanwhile("START TRANSACTION; SELECT * FROM seat WHERE seat_no < 3 FOR UPDATE", 2);
};

ordeal 'somebody locks all for two seconds' => sub { meanwhile('FLUSH TABLES WITH READ LOCK', 2) };

ordeal 'it is read-only for a second' => sub {
    $db->do('SET GLOBAL read_only = 1');
    sleep 1;
    $db->do('SET GLOBAL read_only = 0');
}, fails => 1;

ordeal 'it has no connections left, and ends those there are' => sub {
    my ($most, $user) = ($db->value('SELECT @@max_connections'), $db->user);
    my @idle = map { idle_client(6) } 1 .. 10;
    within(sub { $db->value("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'") >= 10 }, 5);
    my $kill = join ';', map { "KILL $_->[0]" } @{$db->rows("SELECT id FROM information_schema.processlist
        WHERE user = '$user' AND COALESCE(info, '') NOT LIKE 'DO SLEEP%'")};
    # One session: there may be no other for a while.
    $db->do("SET GLOBAL max_connections = 10; $kill; DO SLEEP(2); SET GLOBAL max_connections = $most");
    waitpid $_, 0 for @idle;
};

# Somebody with the worker's account who does nothing for so long.
sub idle_client {
    my ($seconds) = @_;
    my $pid = fork() // die "fork: $!\n";
    return $pid if $pid;
    chomp(my $password = slurp($db->password_file));
    $ENV{MYSQL_PWD} = $password;
    run('mariadb', '--no-defaults', '--socket=' . $db->socket, '--user=' . $db->user, '-e', "DO SLEEP($seconds)");
    POSIX::_exit(0);
}

subtest 'the worker goes on' => sub {
    my $answer = Ticket::Http::http($worker->target, @{request(wish(1_000_001))});
    is $answer->{status}, 201, 'it makes holds';
    $worker->stop;
    is_deeply [$worker->problems], [], 'and stops as it should';
};

done_testing;
