# Redis over TCP, behind a user and password, in another database; with the
# wrong password, which must make neither a storm nor an alert; and sentinels
# and a cluster behind passwords.

use lib 't/lib';
use Ticket::Test;
use Ticket::Nginx;
use Ticket::Redis;
use Ticket::RedisCluster;
use Ticket::Sentinel;
use Time::HiRes qw(sleep);

# What docs/directives.md says that the user needs.
my @user = qw(ACL SETUSER seller on >a-long-secret ~ticket:* +ping +role +script|load +evalsha +info +time +select
    +@read +@write);
my $redis = Ticket::Redis->new(dir => temp_dir(), tcp => 1);
my $port  = $redis->port;
$redis->cmd(@user);

for my $name (qw(right wrong)) {
    my $fh;
    open $fh, '>', temp_dir() . "/$name" or die "$name: $!";
    chmod 0600, $fh;
    print {$fh} $name eq 'right' ? "a-long-secret\n" : "another\n";
    close $fh or die "$name: $!";
}

sub node {
    my ($name, %args) = @_;
    my $dir = temp_dir();
    my $where = delete $args{where} // "127.0.0.1:$port db=3";
    return Ticket::Nginx->new(redis => $redis, name => $name, %args, http => <<"CONF");
        ticket_redis $where user=seller password_file=$dir/$args{password};
        ticket_zone  rooms:1m interval=100ms;
        ticket_keys  %%KEYS%%;
        ticket_room  show { slots 1; early_polls allow; }
        server {
            listen unix:%%SOCK%%;
            location = /queue   { ticket_queue show; }
            location = /metrics { ticket_metrics; }
        }
CONF
}

my $right = node('right', password => 'right');
is($right->http('POST', '/queue')->{json}{state}, 'admitted', 'a join by way of TCP, user, password and database');
$redis->cmd('SELECT', 3);
is($redis->cmd('EXISTS', 'ticket:{show}'), 1, 'the line is in the database named');

my $wrong = node('wrong', password => 'wrong');
is($wrong->http('POST', '/queue')->{status}, 503, 'with the wrong password, joins are answered with 503');
sleep 2;
like($wrong->error_log, qr/refused AUTH or SELECT: WRONGPASS/, 'the log says why');
unlike($wrong->error_log, qr/a-long-secret|another/, 'and not the password');
my $tries = () = $wrong->error_log =~ /refused AUTH/g;
cmp_ok($tries, '<=', 12, "$tries tries in two seconds of two processes");

# Sentinels with a user of their own.
my $sentinel = Ticket::Sentinel->new(dir => temp_dir(), name => 'sentinel', master => $redis);
$sentinel->cmd(qw(ACL SETUSER watcher on >a-long-secret +@all));
$sentinel->cmd(qw(ACL SETUSER default -sentinel));
my $line = 'sentinel=line ' . $sentinel->address;
my $told = node('told', password => 'right',
                where => "$line sentinel_user=watcher sentinel_password_file=" . temp_dir() . '/right db=4');
is($told->http('POST', '/queue')->{json}{state}, 'admitted', 'a sentinel is logged in to');
$redis->cmd('SELECT', 4);
is($redis->cmd('EXISTS', 'ticket:{show}'), 1, 'and the database is the one named');
my $untold = node('untold', password => 'right', where => $line);
is($untold->http('POST', '/queue')->{status}, 503, 'a sentinel that refuses names no master');
like($untold->error_log, qr/refused to name a master: NOPERM/, 'and the log says why');

my $cluster = Ticket::RedisCluster->new(dir => temp_dir());
$_->cmd(@user) for $cluster->nodes;
my $spread = node('spread', password => 'right', where => 'cluster ' . $cluster->seeds(0 .. 2));
is($spread->http('POST', '/queue')->{json}{state}, 'admitted', 'the nodes of a cluster are logged in to');

done_testing;
